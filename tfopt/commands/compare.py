"""tfopt compare MODEL.keras FILE.tflite ... --data SAMPLES.npz: accuracy, size, latency and memory."""

from pathlib import Path

import keras
from absl import flags

import tfopt
from tfopt.commands._arguments import load_samples
from tfopt.commands._sizes import print_sizes

_DATA = flags.DEFINE_string(
    "data", None, "A .npz file with arrays 'x' and 'y': inputs and targets, samples first."
)
flags.mark_flag_as_required("data")


def main(arguments: list[str]) -> None:
    """Runs the command."""
    if not arguments:
        raise ValueError("Expected at least one MODEL.keras or FILE.tflite. Got nothing instead.")
    x, y = load_samples(_DATA.value)
    print(tfopt.compare({Path(argument).name: _load(argument) for argument in arguments}, x, y))
    print_sizes(arguments)


def _load(path: str) -> keras.Model | str:
    return path if path.endswith(".tflite") else keras.models.load_model(path, compile=False)
