"""The entropy of codes: the bytes below which no code of one word a value gets."""

import numpy as np


def histogram(values: np.ndarray) -> np.ndarray:
    """How often each of the 256 bytes occurs."""
    return np.bincount(values.reshape(-1).view(np.uint8), minlength=256)


def entropy_bytes(values: np.ndarray) -> int:
    """The entropy bound of an array, in bytes: what its values take if each is coded by its frequency alone.

    `n H / 8` with `H = -sum p log2 p` over the distinct values (Shannon 1948): no Huffman code and no arithmetic code
    gets below it that codes the values one by one, and an arithmetic code comes close to it. What a code must say
    about the frequencies themselves is not counted, but for values of more than one byte, whose tables are large: there
    every distinct value counts once. A code that sees patterns, as gzip does, may be smaller.

    Args:
        values: an array of any shape.

    >>> from tfopt.coding import entropy_bytes
    >>> entropy_bytes(np.tile(np.array([0, 0, 0, 1], "int8"), 250)), entropy_bytes(np.zeros(1000, "int8"))
    (102, 0)
    """
    if not values.size:
        return 0
    if values.itemsize == 1:
        counts, table = histogram(values), 0
    else:
        # Bit patterns: two NaNs are two values, and -0.0 is not 0.0.
        counts = np.unique(values.reshape(-1).view(f"u{values.itemsize}"), return_counts=True)[1]
        table = values.itemsize * len(counts)
    shares = counts[counts > 0] / values.size
    bits = float(-(shares * np.log2(shares)).sum()) * values.size
    return min(values.nbytes, int(np.ceil(bits / 8 - 1e-9)) + table)
