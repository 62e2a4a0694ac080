"""LiteRT's SOFTMAX of 8-bit codes, which XNNPACK leaves to it: in float32, from a table of 256 powers."""

from typing import Any

from keras import ops

from tfopt._float32 import exactly
from tfopt.kernels._fixed_point import product_dtype
from tfopt.kernels._grids import Grid


def softmax(sources: Any, x: Any, operands: Any, grid: Grid) -> Any:
    """`round(exp(x) / (sum(exp(x)) * step))` over the last axis, added up one after the other.

    tensorflow/lite/kernels/activations.cc (`PopulateSoftmaxLookupTable`) and internal/optimized/optimized_ops.h. A
    float32 softmax of the same numbers is off where a share lies next to a half: three in a million values.
    """
    step = sources[0].step()
    codes = ops.cast(ops.round(ops.cast(operands[0], "float32") / step), "int32")
    below = ops.max(codes, axis=-1, keepdims=True) - codes
    exponents = exactly(-step * ops.arange(256, dtype="float32"))
    # The C library rounds a power right, TensorFlow's vectors sometimes not.
    powers = ops.cast(ops.exp(ops.cast(exponents, product_dtype())), "float32")
    shares = ops.take(powers, below)
    total = ops.fori_loop(
        0,
        shares.shape[-1],
        lambda at, sums: sums + ops.take(shares, at, axis=-1),
        ops.zeros_like(shares[..., 0]),
    )
    inverse = exactly(1.0 / exactly(total * grid.step))
    return ops.floor(exactly(shares * inverse[..., None]) + 0.5)
