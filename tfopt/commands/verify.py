"""tfopt verify MODEL.keras FILE.tflite --data SAMPLES.npz: exit code 1 if they differ."""

import keras
from absl import flags

import tfopt
from tfopt.commands._arguments import load_samples, take

_DATA = flags.DEFINE_string(
    "data", None, "A .npz file with an array 'x', or a .npy file: inputs, samples first."
)
_TOLERANCE = flags.DEFINE_integer(
    "tolerance", 1, "Quantization steps by which outputs may differ.", lower_bound=0
)
flags.mark_flag_as_required("data")


def main(arguments: list[str]) -> int:
    """Runs the command."""
    model, path = take(arguments, "MODEL.keras", "FILE.tflite")
    samples, _ = load_samples(_DATA.value)
    report = tfopt.verify(
        keras.models.load_model(model, compile=False), path, samples, tolerance=_TOLERANCE.value
    )
    print(report)
    return 0 if report.passed else 1
