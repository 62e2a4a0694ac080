"""tfopt quantize MODEL.keras OUTPUT --data DATA: to integers, without training.

OUTPUT is a .tflite file, which is verified against the quantized model, or a .keras file to train on. Exit code 1 if
the file computes something else than the model.
"""

from absl import flags

from tfopt.commands._technique import apply
from tfopt.recipes import Export, Quantize, Recipe

_TARGET = flags.DEFINE_string("target", "litert", "litert, tflm, ethos-u, edgetpu or google-tensor.")
_WEIGHT_BITS = flags.DEFINE_integer("weight_bits", 8, "Bits of weights, 1 to 8.")
_ACTIVATION_BITS = flags.DEFINE_integer("activation_bits", 8, "Bits of activations, 8 or 16.")
_RESIDUAL_BITS = flags.DEFINE_integer("residual_bits", 8, "Bits of the sums of residual blocks, 8 or 16.")
_RANGES = flags.DEFINE_string("ranges", "minmax", "How ranges are calibrated: minmax, percentile, mse, kl.")
_ROUNDING = flags.DEFINE_string("rounding", "nearest", "How weights are rounded: nearest, gptq, adaround.")
_CORRECT_BIAS = flags.DEFINE_bool("correct_bias", False, "Take mean errors out of biases.")
_SAMPLES = flags.DEFINE_integer("samples", 500, "Samples of the data to calibrate with.")
_TOLERANCE = flags.DEFINE_integer("tolerance", 1, "Steps by which outputs may differ.", lower_bound=0)
_STRICT = flags.DEFINE_bool("strict", False, "Fail if any layer stays float.")
flags.declare_key_flag("data")
flags.declare_key_flag("json")
flags.declare_key_flag("max_memory")
flags.declare_key_flag("sizes")
flags.declare_key_flag("report")


def main(arguments: list[str]) -> int:
    """Runs the command."""
    section = Quantize(
        weight_bits=_WEIGHT_BITS.value,
        activation_bits=_ACTIVATION_BITS.value,
        residual_bits=_RESIDUAL_BITS.value,
        ranges=_RANGES.value,
        rounding=_ROUNDING.value,
        correct_bias=_CORRECT_BIAS.value,
        calibration_samples=_SAMPLES.value,
        strict=_STRICT.value,
    )
    export = Export(tolerance=_TOLERANCE.value)
    recipe = Recipe(target=_TARGET.value, quantize=section, distill=None, export=export)
    return apply("quantize", arguments, recipe)
