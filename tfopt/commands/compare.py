"""tfopt compare MODEL.keras FILE.tflite ... --data SAMPLES.npz: accuracy, size, latency and memory."""

import keras
from absl import flags

import tfopt
from tfopt.commands._arguments import is_tflite, load_model, load_samples, name_apart, try_files
from tfopt.commands._output import check_page, show
from tfopt.runtimes import RUNTIMES

_DATA = flags.DEFINE_string(
    "data", None, "A .npz file with arrays 'x' and 'y': inputs and targets, samples first."
)
_RUNTIME = flags.DEFINE_enum(
    "runtime", "xnnpack", list(RUNTIMES), "The runtime of the .tflite files; tflm is TFLite Micro."
)
flags.declare_key_flag("json")
flags.declare_key_flag("max_memory")
flags.declare_key_flag("report")
flags.declare_key_flag("sizes")
flags.mark_flag_as_required("data")


def main(arguments: list[str]) -> None:
    """Runs the command."""
    if not arguments:
        raise ValueError("Expected at least one MODEL.keras or FILE.tflite. Got nothing instead.")
    check_page()
    x, y = load_samples(_DATA.value)
    try_files(arguments, [_RUNTIME.value])
    models = {name: _load(path) for name, path in name_apart(arguments).items()}
    show(tfopt.compare(models, x, y, runtime=_RUNTIME.value), arguments, page="compare")


def _load(path: str) -> keras.Model | str:
    return path if is_tflite(path) else load_model(path)
