"""Huffman codes: a word of whole bits for each symbol, shorter for frequent ones."""

import numpy as np

from tfopt.coding._bits import write_bits

MAX_LENGTH = 15


def code_lengths(counts: np.ndarray, longest: int = MAX_LENGTH) -> np.ndarray:
    """Bits of each symbol's word in the best prefix code with no word of more than `longest` bits.

    The package-merge algorithm (Larmore & Hirschberg 1990, https://doi.org/10.1145/79147.79150).

    Args:
        counts: how often each symbol occurs; at most `2 ** longest` of them do.
        longest: the most bits of a word.

    Returns:
        The lengths; 0 for symbols that do not occur. A symbol that is alone has a word of 1 bit.

    >>> from tfopt.coding._huffman import code_lengths
    >>> code_lengths(np.array([8, 0, 4, 1, 1])), code_lengths(np.array([8, 0, 4, 1, 1]), longest=2)
    (array([1, 0, 2, 3, 3]), array([2, 0, 2, 2, 2]))
    """
    counts = np.asarray(counts)
    used = np.flatnonzero(counts)
    lengths = np.zeros(len(counts), np.int64)
    if len(used) < 2:
        lengths[used] = 1
        return lengths
    order = used[np.argsort(counts[used], kind="stable")]
    leaves = [(int(counts[symbol]), (int(symbol),)) for symbol in order]
    level: list[tuple[int, tuple[int, ...]]] = []
    for _ in range(longest):
        pairs = zip(level[0::2], level[1::2], strict=False)
        packages = [(a[0] + b[0], a[1] + b[1]) for a, b in pairs]
        level = sorted([*leaves, *packages], key=lambda package: package[0])
    for _, symbols in level[: 2 * len(used) - 2]:
        np.add.at(lengths, list(symbols), 1)
    return lengths


def canonical_words(lengths: np.ndarray) -> np.ndarray:
    """The words of the canonical code with these lengths: in order of length, then of symbol.

    >>> from tfopt.coding._huffman import canonical_words
    >>> canonical_words(np.array([1, 0, 2, 3, 3])).tolist()
    [0, 0, 2, 6, 7]
    """
    words = np.zeros(len(lengths), np.int64)
    word = length = 0
    for symbol in sorted(np.flatnonzero(lengths), key=lambda symbol: (lengths[symbol], symbol)):
        word <<= int(lengths[symbol]) - length
        length = int(lengths[symbol])
        words[symbol] = word
        word += 1
    return words


def write_words(symbols: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The bytes of symbols in the canonical code with these lengths.

    >>> from tfopt.coding._huffman import write_words
    >>> [f"{byte:08b}" for byte in write_words(np.array([0, 3, 2], "uint8"), np.array([1, 0, 2, 3]))]
    ['01101000']
    """
    words = canonical_words(lengths).astype(np.uint16)
    return write_bits(words[symbols], lengths.astype(np.uint8)[symbols])
