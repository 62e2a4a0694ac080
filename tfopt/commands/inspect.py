"""tfopt inspect MODEL: what is in a .tflite file, a .keras file or the folder of a SavedModel.

Operators or layers with their output, zeros, bits, step and share of the bytes; with --graph what reads what. A
SavedModel is shown as the .tflite file that it makes.
"""

from pathlib import Path

from absl import flags

from tfopt._report import Report
from tfopt.commands._arguments import is_tflite, load_model, reading, take
from tfopt.commands._output import show, wants_json
from tfopt.runtimes import inspect

_GRAPH = flags.DEFINE_bool("graph", False, "Print the operators as a graph in place of a table.")
flags.declare_key_flag("json")
flags.declare_key_flag("max_memory")
flags.declare_key_flag("sizes")


def main(arguments: list[str]) -> None:
    """Runs the command."""
    (path,) = take(arguments, "MODEL")
    report = _inspected(path)
    if _GRAPH.value and not wants_json():
        print(report.graph())  # type: ignore[attr-defined]
    else:
        show(report, [path])


def _inspected(path: str) -> Report:
    if not is_tflite(path) and (Path(path).is_dir() or path.lower().endswith((".keras", ".h5"))):
        # Imported here: a .tflite file is read without Keras and TensorFlow.
        from tfopt._inspect_model import inspect_model, inspect_saved_model

        if Path(path).is_dir():
            return inspect_saved_model(path)
        model = load_model(path)
        with reading(path):  # what a file says of a layer may only fail when the layer is called
            return inspect_model(model)
    return inspect(path)
