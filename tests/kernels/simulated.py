"""What the families of kernels make of a sample: stored codes, to compare with those of a runtime."""

import keras
import numpy as np

from tests.kernels.samples import Sample
from tests.kernels.weighted import WEIGHTED, Weighted
from tfopt.kernels import FAMILIES, KernelWeights
from tfopt.kernels.reference._products import from_sums


def simulated(sample: Sample | Weighted, family: str) -> np.ndarray:
    """The stored codes that a family, "reference" or "xnnpack", writes."""
    rules = FAMILIES[family]
    if isinstance(sample, Weighted):
        kind, *_ = WEIGHTED[sample.name]
        weights = KernelWeights(keras.layers.Dense(1) if kind == "Dense" else None)
        steps = sample.source.step(), sample.weight_scales
        sums, bits = keras.ops.cast(sample.sums(), "float32"), sample.source.num_bits
        if family == "reference":
            # A file may hold biases of 32 bits beside 16-bit activations, which export never writes.
            counted = from_sums(
                sample.sums(), steps, sample.output.step(), bits, 8 * sample.bias.dtype.itemsize
            )
        else:
            multiplier = rules.multiplier(weights, steps, sample.output.step(), bits)
            counted = rules.requantize(weights, sums, multiplier, bits)
        return sample.output.stored(counted)
    rule = rules.rule(sample.operation.kind, sample.grids[0].num_bits)
    return sample.output.stored(rule(sample.grids, sample.x(), sample.operands(), sample.output.grid()))
