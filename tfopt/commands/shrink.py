"""tfopt shrink MODEL.keras OUTPUT --data DATA --macs 0.5: channels removed for real, without training.

One budget says how much is left: --channels, --macs, --params or --bytes. Batch norms are measured again on the data.
OUTPUT is a .keras file, to train on, or a float .tflite file, which is verified. Exit code 1 if the file computes
something else than the model.
"""

from absl import flags

from tfopt.commands._technique import apply
from tfopt.recipes import Recipe, Shrink

_CHANNELS = flags.DEFINE_float("channels", None, "Part of the channels of each layer to keep, as 0.5.")
_MACS = flags.DEFINE_float("macs", None, "Multiply-accumulates to keep: a part, as 0.5, or a count.")
_PARAMS = flags.DEFINE_float("params", None, "Parameters to keep: a part or a count.")
_BYTES = flags.DEFINE_float("bytes", None, "Bytes of the int8 file to keep: a part or a count.")
_CRITERION = flags.DEFINE_string("criterion", "magnitude", "What goes first: magnitude, batch_norm, random.")
_WHERE = flags.DEFINE_string("where", None, "Layers that may lose channels: an expression for their paths.")
_DIVISOR = flags.DEFINE_integer("divisor", 8, "Counts of channels are multiples of it.")
flags.declare_key_flag("data")
flags.declare_key_flag("json")
flags.declare_key_flag("max_memory")
flags.declare_key_flag("sizes")
flags.declare_key_flag("report")


def main(arguments: list[str]) -> int:
    """Runs the command."""
    section = Shrink(
        channels=_CHANNELS.value,
        macs=_MACS.value,
        params=_PARAMS.value,
        bytes=_BYTES.value,
        criterion=_CRITERION.value,
        where=_WHERE.value,
        divisor=_DIVISOR.value,
    )
    return apply("shrink", arguments, Recipe(shrink=section, quantize=None, distill=None))
