"""What the families of kernels make of a sample: stored codes, to compare with those of a runtime."""

from types import SimpleNamespace

import keras
import numpy as np

from tests.kernels.samples import SLOPE, Sample
from tests.kernels.weighted import WEIGHTED, Weighted


def simulated(sample: Sample | Weighted, family: str) -> np.ndarray:
    """The stored codes that a family, "reference" or "xnnpack", writes."""
    return {"reference": _reference, "xnnpack": _xnnpack}[family](sample)


def _reference(sample: Sample | Weighted) -> np.ndarray:
    from tfopt.kernels.reference import NARROW, WIDE, requantize

    if isinstance(sample, Weighted):
        kind, *_ = WEIGHTED[sample.name]
        steps = sample.source.step(), sample.weight_scales
        bits = 8 * sample.bias.dtype.itemsize
        counted = requantize(sample.sums(), steps, sample.output.step(), kind, sample.source.num_bits, bits)
        return sample.output.stored(counted)
    kernel = SimpleNamespace(kind=sample.operation.kind, sources=sample.grids, slope=np.float32(SLOPE))
    table = NARROW if sample.grids[0].num_bits == 8 else WIDE
    reads, function = table[kernel.kind]
    if reads != len(sample.grids):
        raise ValueError(f"{kernel.kind} should read {len(sample.grids)} tensors, and reads {reads}.")
    return sample.output.stored(function(kernel, sample.x(), sample.operands(), sample.output.grid()))


def _xnnpack(sample: Sample | Weighted) -> np.ndarray:
    from tfopt.quantization._sums import Kernel, _requantized

    if isinstance(sample, Weighted):
        kind, *_ = WEIGHTED[sample.name]
        layer = keras.layers.Dense(1) if kind == "Dense" else None
        kernel = Kernel("weights", (sample.source,), layer)
        steps = sample.source.step(), sample.weight_scales
        return sample.output.stored(
            _requantized(kernel, keras.ops.cast(sample.sums(), "float32"), steps, sample.output.step())
        )
    kernel = Kernel(sample.operation.kind, sample.grids)
    return sample.output.stored(kernel.codes(sample.x(), sample.operands(), sample.output.grid()))
