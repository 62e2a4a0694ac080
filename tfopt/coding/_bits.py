"""Bit streams: codes of different lengths, one behind the other, the most significant bit first."""

import numpy as np

# Codes written in one go, which bounds the memory that it takes.
_CHUNK = 1 << 20

# A code has at most so many bits: with the 7 bits in front of it in its first byte it lies in three bytes.
MAX_LENGTH = 16


def write_bits(codes: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The bytes that hold the codes, the last one filled up with zeros.

    Args:
        codes: a whole number for each code, flat.
        lengths: how many bits each has, 0 to 16.

    >>> from tfopt.coding._bits import write_bits
    >>> [f"{byte:08b}" for byte in write_bits(np.array([1, 0, 5]), np.array([1, 2, 7]))]
    ['10000001', '01000000']
    """
    total = int(lengths.sum(dtype=np.int64))
    stream = np.zeros((total + 7) // 8 + 3, np.uint8)
    begin = 0
    for at in range(0, len(codes), _CHUNK):
        part = lengths[at : at + _CHUNK].astype(np.int64)
        ends = begin + np.cumsum(part)
        first = (ends - part) >> 3
        base, size = int(first[0]), int(first[-1] - first[0]) + 3
        shifted = codes[at : at + _CHUNK].astype(np.int64) << (24 - ((ends - part) & 7) - part)
        for byte in range(3):
            # No two codes have a bit in common, so that adding their bytes up is putting them together.
            bits = (shifted >> (16 - 8 * byte)) & 0xFF
            summed = np.bincount(first - base + byte, bits, size)
            stream[base : base + size] |= summed.astype(np.uint8)
        begin = int(ends[-1])
    return stream[: (total + 7) // 8]


def write_fixed(codes: np.ndarray, width: int) -> np.ndarray:
    """The bytes that hold codes of one width, 1 to 8 bits.

    >>> from tfopt.coding._bits import write_fixed
    >>> [f"{byte:08b}" for byte in write_fixed(np.array([1, 2, 3]), 3)]
    ['00101001', '10000000']
    """
    # A chunk is a multiple of 8 codes, and so ends with a whole byte.
    chunks = (codes[at : at + _CHUNK].astype(np.uint8)[:, None] for at in range(0, len(codes), _CHUNK))
    return np.concatenate([np.packbits(np.unpackbits(chunk, axis=1)[:, 8 - width :]) for chunk in chunks])


def read_fixed(stream: np.ndarray, width: int, count: int) -> np.ndarray:
    """The codes that `write_fixed` wrote.

    >>> from tfopt.coding._bits import read_fixed
    >>> read_fixed(np.array([0b00101001, 0b10000000], "uint8"), width=3, count=3)
    array([1, 2, 3], dtype=uint8)
    """
    bits = np.unpackbits(stream, count=width * count).reshape(count, width)
    padded = np.concatenate([np.zeros((count, 8 - width), np.uint8), bits], axis=1)
    return np.packbits(padded, axis=1).reshape(-1)
