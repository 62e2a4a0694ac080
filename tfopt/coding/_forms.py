"""The forms in which TFLite Micro takes a kernel apart and puts it together again: TFLM_DECODE.

Each form is a pair of pure functions between an array and two byte strings: the stream, a word for each value, and the
*ancillary* data, 16 bytes that name the form and its settings and then its tables. The layout is that of
`tensorflow/lite/micro/kernels/decode*.cc` in tflite-micro (August 2026 and later); numbers are little-endian.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from tfopt.coding._bits import read_fixed, write_fixed
from tfopt.coding._entropy import histogram
from tfopt.coding._huffman import code_lengths, write_words
from tfopt.coding._huffman_tables import decoding_table, read_words, words_of_table

HEADER_BYTES = 16
_LOOKUP, _HUFFMAN, _PRUNE = 0, 1, 2
_PER_TENSOR = 15
_LARGEST_WIDTH = 7


@dataclasses.dataclass(frozen=True, eq=False)
class Codes:
    """A kernel as a file holds it, with what its forms must know of its grid.

    Args:
        values: the array.
        axis: the axis of its channels; None for one grid, or none.
        zero_point: what stands for 0.0; None where channels have different ones.

    >>> Codes(np.zeros((2, 3), "int8"), axis=0).outer_axis
    0
    """

    values: np.ndarray
    axis: int | None = None
    zero_point: int | None = 0

    @property
    def outer_axis(self) -> int | None:
        """The axis of the channels if the decoder takes it, the first or the last; None else."""
        return self.axis if self.axis in (0, self.values.ndim - 1) else None

    @property
    def decodes_in_place(self) -> bool:
        """Whether forms that read the grid can be decoded: TFLite Micro takes no channels on an inner axis."""
        return self.axis is None or self.outer_axis is not None

    @property
    def patterns(self) -> np.ndarray:
        """The values' bits as whole numbers, flat: -0.0 is not 0.0."""
        return self.values.reshape(-1).view(f"u{self.values.itemsize}")


@dataclasses.dataclass(frozen=True, eq=False)
class Encoded:
    """A kernel in one form.

    Args:
        form: its name.
        stream: a word for each value.
        ancillary: the settings and tables of the form.

    >>> Encoded("prune", b"12", b"3").nbytes
    3
    """

    form: str
    stream: bytes
    ancillary: bytes

    @property
    def nbytes(self) -> int:
        """Bytes of both."""
        return len(self.stream) + len(self.ancillary)


def _header(kind: int, *settings: int) -> bytes:
    return bytes([kind, 1, 0, 0, 1, *settings]).ljust(HEADER_BYTES, b"\0")


def prune(codes: Codes) -> Encoded | None:
    """A bit for each value that says whether it is zero, and the others one after another."""
    if (
        codes.zero_point is None
        or not codes.decodes_in_place
        or (codes.zero_point and codes.values.itemsize > 1)
    ):
        return None
    kept = codes.patterns != np.array(codes.zero_point).astype(codes.patterns.dtype)
    return Encoded("prune", np.packbits(kept).tobytes(), _header(_PRUNE) + codes.patterns[kept].tobytes())


def huffman(codes: Codes) -> Encoded | None:
    """A Huffman code of the bytes of an int8 kernel."""
    if codes.values.dtype != np.int8:
        return None
    lengths = code_lengths(histogram(codes.values))
    stream = write_words(codes.patterns, lengths).tobytes()
    table, step = decoding_table(lengths)
    # The decoder reads words of 32 bits, and may look ahead by all bits of a table before it puts some back.
    used = len(stream) + 2
    header = _header(_HUFFMAN, (step - 1) << 4)
    return Encoded("Huffman", stream.ljust(used + -used % 4, b"\0"), header + table.astype("<u2").tobytes())


def lookup_table(codes: Codes) -> Encoded | None:
    """The distinct values of the kernel, and the number of each value among them, in 1 to 7 bits."""
    if not codes.decodes_in_place:
        return None
    distinct, numbers = _distinct(codes.patterns)
    width = max(1, (len(distinct) - 1).bit_length())
    if width > _LARGEST_WIDTH:
        return None
    # No step from one channel's table to the next: all read the same one.
    header = _header(_LOOKUP, _PER_TENSOR << 4 | width, 0)
    return Encoded("lookup table", write_fixed(numbers, width).tobytes(), header + distinct.tobytes())


def lookup_tables(codes: Codes) -> Encoded | None:
    """The distinct values of each channel, and the number of each value among them, in 1 to 7 bits."""
    axis = codes.outer_axis
    if axis is None or codes.values.shape[axis] < 2:
        return None
    rows = np.moveaxis(codes.patterns.reshape(codes.values.shape), axis, 0).reshape(
        codes.values.shape[axis], -1
    )
    tables, numbers = zip(*map(_distinct, rows), strict=True)
    longest = max(map(len, tables))
    width = max(1, (longest - 1).bit_length())
    if width > _LARGEST_WIDTH:
        return None
    padded = np.zeros((len(rows), longest), rows.dtype)
    for row, table in zip(padded, tables, strict=True):
        row[: len(table)] = table
    order = (axis, *(at for at in range(codes.values.ndim) if at != axis))
    moved = np.stack(numbers).reshape([codes.values.shape[at] for at in order])
    stream = write_fixed(np.moveaxis(moved, 0, axis).reshape(-1), width)
    header = _header(_LOOKUP, axis << 4 | width, longest)
    return Encoded("lookup tables", stream.tobytes(), header + padded.tobytes())


# The forms, of which the smallest is taken. A new one adds a row, and a reader below.
FORMS: tuple[Callable[[Codes], Encoded | None], ...] = (prune, huffman, lookup_table, lookup_tables)


def smallest_form(codes: Codes) -> Encoded | None:
    """The kernel in the form that takes the fewest bytes; None if there is none for its type and grid.

    >>> from tfopt.coding import Codes, smallest_form
    >>> kernel = np.zeros((16, 64), "int8")
    >>> kernel[:, ::9] = np.arange(16)[:, None] + 1
    >>> found = smallest_form(Codes(kernel, axis=0))
    >>> found.form, kernel.nbytes, found.nbytes
    ('lookup tables', 1024, 176)
    """
    found = [encoded for form in FORMS if (encoded := form(codes)) is not None]
    return min(found, key=lambda encoded: encoded.nbytes, default=None)


def decode_form(stream: bytes, ancillary: bytes, codes: Codes) -> np.ndarray:
    """The kernel that TFLite Micro makes of a form.

    Args:
        stream: a word for each value.
        ancillary: the settings and tables.
        codes: an array of the shape and type of the kernel, whose values are not read, and its grid.

    Raises:
        ValueError: the form is not one of those above, or damaged.

    >>> from tfopt.coding import Codes, decode_form, smallest_form
    >>> kernel = np.arange(6, dtype="int8").reshape(2, 3)
    >>> found = smallest_form(Codes(kernel))
    >>> decode_form(found.stream, found.ancillary, Codes(np.empty_like(kernel)))
    array([[0, 1, 2],
           [3, 4, 5]], dtype=int8)
    """
    if (
        len(ancillary) < HEADER_BYTES
        or ancillary[1] != 1
        or ancillary[4] != 1
        or ancillary[0] not in _READERS
    ):
        raise ValueError(
            f"A TFLM_DECODE operator names a form that is not known: {ancillary[:HEADER_BYTES].hex(' ')}."
        )
    try:
        patterns = _READERS[ancillary[0]](np.frombuffer(stream, np.uint8), ancillary, codes)
    except (ValueError, IndexError) as error:  # a table that ends early, a number beyond it
        raise ValueError(f"The form of a TFLM_DECODE operator is damaged: {error}") from error
    return patterns.astype(codes.patterns.dtype).view(codes.values.dtype).reshape(codes.values.shape)


def _read_prune(stream: np.ndarray, ancillary: bytes, codes: Codes) -> np.ndarray:
    if codes.zero_point is None:
        raise ValueError("its channels have different zero points, which tfopt does not read")
    kept = np.unpackbits(stream, count=codes.values.size).astype(bool)
    patterns = np.full(codes.values.size, codes.zero_point).astype(codes.patterns.dtype)
    patterns[kept] = np.frombuffer(ancillary, patterns.dtype, int(kept.sum()), HEADER_BYTES)
    return patterns


def _read_huffman(stream: np.ndarray, ancillary: bytes, codes: Codes) -> np.ndarray:
    if ancillary[5] & 1:
        raise ValueError(
            "A TFLM_DECODE operator holds a Huffman code of 32-bit entries, which tfopt does not read."
        )
    size = (len(ancillary) - HEADER_BYTES) // 2
    table = np.frombuffer(ancillary, "<u2", size, HEADER_BYTES)
    return read_words(stream, codes.values.size, *words_of_table(table, (ancillary[5] >> 4) + 1))


def _read_lookup(stream: np.ndarray, ancillary: bytes, codes: Codes) -> np.ndarray:
    axis, width, stride = ancillary[5] >> 4, ancillary[5] & 7, ancillary[6]
    values = np.frombuffer(ancillary[HEADER_BYTES:], codes.patterns.dtype)
    numbers = read_fixed(stream, width, codes.values.size).astype(np.int64)
    if axis != _PER_TENSOR and stride:
        shape = [-1 if at == axis else 1 for at in range(codes.values.ndim)]
        channels = np.arange(codes.values.shape[axis]).reshape(shape)
        numbers = (numbers.reshape(codes.values.shape) + stride * channels).reshape(-1)
    return values[numbers]


_READERS: dict[int, Callable[[np.ndarray, bytes, Codes], np.ndarray]] = {
    _LOOKUP: _read_lookup,
    _HUFFMAN: _read_huffman,
    _PRUNE: _read_prune,
}


def _distinct(patterns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values in order, and the number of each value among them."""
    if patterns.itemsize > 1:
        return np.unique(patterns, return_inverse=True)
    present = histogram(patterns) > 0
    return np.flatnonzero(present).astype(np.uint8), (np.cumsum(present) - 1).astype(np.uint8)[patterns]
