"""tfopt compare MODEL.keras FILE.tflite ... --data SAMPLES.npz: accuracy, size, latency and memory."""

import keras
from absl import flags

import tfopt
from tfopt.commands._arguments import load_model, load_samples, name_apart

_DATA = flags.DEFINE_string(
    "data", None, "A .npz file with arrays 'x' and 'y': inputs and targets, samples first."
)
flags.mark_flag_as_required("data")


def main(arguments: list[str]) -> None:
    """Runs the command."""
    if not arguments:
        raise ValueError("Expected at least one MODEL.keras or FILE.tflite. Got nothing instead.")
    x, y = load_samples(_DATA.value)
    print(tfopt.compare({name: _load(path) for name, path in name_apart(arguments).items()}, x, y))


def _load(path: str) -> keras.Model | str:
    return path if path.lower().endswith(".tflite") else load_model(path)
