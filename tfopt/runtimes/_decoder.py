"""Kernels that TFLite Micro decodes while a file runs, as arrays."""

import dataclasses

import numpy as np

from tfopt.coding import Codes, decode_form
from tfopt.runtimes._schema import Operator
from tfopt.runtimes._tensors import Tensor

# TFLite Micro's operator: a stream and its tables for each kernel that it writes.
DECODER = "TFLM_DECODE"


def decoded_kernels(op: Operator) -> list[Tensor]:
    """The kernels that a decoder writes, with their values, and with the bytes that they take in the file.

    Args:
        op: an operator of a file.

    Raises:
        ValueError: it names a form that is not known, or is damaged.
    """
    pairs = zip(op.inputs[0::2], op.inputs[1::2], op.outputs, strict=True)
    return [_decoded(stream, ancillary, kernel) for stream, ancillary, kernel in pairs]


def _decoded(stream: Tensor | None, ancillary: Tensor | None, kernel: Tensor) -> Tensor:
    if stream is None or ancillary is None or stream.data is None or ancillary.data is None:
        raise ValueError(f"A {DECODER} operator must read constants. That of {kernel.name!r} does not.")
    zero_points = set(kernel.zero_points) or {0}
    codes = Codes(
        np.empty(kernel.shape, kernel.dtype),
        kernel.axis if len(kernel.scales) > 1 else None,
        zero_points.pop() if len(zero_points) == 1 else None,
    )
    values = decode_form(stream.data.tobytes(), ancillary.data.tobytes(), codes)
    nbytes = stream.nbytes + ancillary.nbytes
    return dataclasses.replace(kernel, data=values, nbytes=nbytes, buffer=stream.buffer)
