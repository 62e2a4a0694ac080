"""Huffman-coded bytes as TFLite Micro decodes them: nested tables, each read with the next few bits of the stream.

A table of `2 ** step` entries is read with `step` bits. An entry that ends a word is `0x8000 | bits << 11 | symbol`:
how many of these bits belong to the word, and what it stands for. Any other is `(step - 1) << 11 | distance`: the next
table's step, and how far behind this entry it begins (`decode_state_huffman.cc` of tflite-micro).
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from tfopt.coding._huffman import canonical_words

FOUND = 0x8000
_SHIFT = 11
_DISTANCE = 0x7FF


@dataclasses.dataclass(eq=False)
class _Node:
    """A place in the tree of words: a word's end, or two places one bit further on."""

    symbol: int = -1
    branches: "tuple[_Node, _Node] | None" = None
    height: int = 0
    step: int = 0
    entries: int = 0


def decoding_table(lengths: np.ndarray) -> tuple[np.ndarray, int]:
    """The smallest nested tables of the canonical code with these lengths.

    How many bits each table reads is chosen so that all of them together have the fewest entries; of equal ones the
    wider table, which asks less often.

    Args:
        lengths: bits of each symbol's word, at most 15.

    Returns:
        The entries, uint16; and the bits with which the first table is read.

    >>> from tfopt.coding._huffman_tables import decoding_table
    >>> table, step = decoding_table(np.array([1, 0, 2, 3, 3]))
    >>> [f"{entry:#06x}" for entry in table], step
    (['0x8800', '0x8800', '0x9002', '0x0001', '0x8803', '0x8804'], 2)
    """
    root = _tree(lengths)
    _plan(root)
    table = np.zeros(root.entries, np.uint16)
    pending, end = [(root, 0)], 1 << root.step
    while pending:
        node, begin = pending.pop(0)
        for index in range(1 << node.step):
            found, bits = _walk(node, index)
            if found.branches is None:
                table[begin + index] = FOUND | bits << _SHIFT | found.symbol
            else:
                table[begin + index] = (found.step - 1) << _SHIFT | (end - begin - index)
                pending.append((found, end))
                end += 1 << found.step
    return table, root.step


def words_of_table(table: np.ndarray, step: int, longest: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """What a decoder finds that reads `longest` bits through nested tables: a symbol and its word's length for each.

    Args:
        table: what `decoding_table` returned, or a file holds.
        step: bits with which the first table is read.
        longest: the most bits of a word.

    Returns:
        Two arrays of `2 ** longest`; the length is 0 where no word begins.

    >>> from tfopt.coding._huffman_tables import decoding_table, words_of_table
    >>> symbols, bits = words_of_table(*decoding_table(np.array([1, 0, 2, 3, 3])), longest=3)
    >>> symbols.tolist(), bits.tolist()
    ([0, 0, 0, 0, 2, 2, 3, 4], [1, 1, 1, 1, 2, 2, 3, 3])
    """
    symbols, bits = np.zeros(1 << longest, np.uint8), np.zeros(1 << longest, np.uint8)
    pending = [(0, step, 0, 0)]
    while pending:
        begin, step, prefix, depth = pending.pop()
        for index in range(min(1 << step, len(table) - begin)):
            entry, read = int(table[begin + index]), prefix << step | index
            if not entry & FOUND:
                next_step = ((entry & ~FOUND) >> _SHIFT) + 1
                if depth + step + next_step <= longest:
                    pending.append((begin + index + (entry & _DISTANCE), next_step, read, depth + step))
                continue
            used = (entry & ~FOUND) >> _SHIFT
            word, length = read >> max(step - used, 0), depth + used
            if 0 < length <= longest and used <= step:
                at = slice(word << (longest - length), (word + 1) << (longest - length))
                symbols[at], bits[at] = entry & 0xFF, length
    return symbols, bits


def read_words(stream: np.ndarray, count: int, symbols: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """The first `count` symbols of a stream, by what `words_of_table` returned for 16 bits.

    Every place of the stream is looked up at once; what is left is to hop from each word to the next.

    Raises:
        ValueError: the stream ends before, or holds what is no word.
    """
    found = np.empty(count, np.uint8)
    padded = np.concatenate([stream, np.zeros(4, np.uint8)]).astype(np.uint32)
    done = place = 0
    for window, first in _windows(padded, 8 * len(stream)):
        length = bits[window]
        hops = length.tolist()
        at, places = place - first, list[int]()
        while at < len(hops) and done + len(places) < count:
            places.append(at)
            if not hops[at]:
                raise ValueError(f"The stream holds no word of its code at bit {first + at}.")
            at += hops[at]
        found[done : done + len(places)] = symbols[window[places]]
        done, place = done + len(places), first + at
    if done < count or place > 8 * len(stream):
        raise ValueError(f"The stream ends after {done} of {count} symbols.")
    return found


def _windows(padded: np.ndarray, total: int, size: int = 1 << 17) -> Iterator[tuple[np.ndarray, int]]:
    """The next 16 bits at every place of a stream, part by part, and where each part begins."""
    for first in range(0, total, 8 * size):
        begin, end = first >> 3, min((first >> 3) + size, total >> 3)
        three = padded[begin:end] << 16 | padded[begin + 1 : end + 1] << 8 | padded[begin + 2 : end + 2]
        shifts = np.arange(8, 0, -1, dtype=np.uint32)
        yield ((three[:, None] >> shifts) & 0xFFFF).reshape(-1), first


def _tree(lengths: np.ndarray) -> _Node:
    words = {
        (int(lengths[symbol]), int(word)): int(symbol)
        for symbol, word in enumerate(canonical_words(lengths))
        if lengths[symbol]
    }
    if len(words) == 1:  # one word of one bit, and another that never comes
        words[1, 1] = words[1, 0]

    def grow(length: int, word: int) -> _Node:
        if (length, word) in words:
            return _Node(words[length, word])
        branches = (grow(length + 1, 2 * word), grow(length + 1, 2 * word + 1))
        return _Node(branches=branches, height=1 + max(branch.height for branch in branches))

    return grow(0, 0)


def _plan(node: _Node) -> None:
    """Finds the step of the table at each place where one begins, and the entries of it and all behind it."""
    level: list[_Node] = [node]
    for step in range(1, node.height + 1):
        level = [branch for at in level if at.branches for branch in at.branches]
        inner = [at for at in level if at.branches]
        for at in inner:
            if not at.entries:
                _plan(at)
        entries = (1 << step) + sum(at.entries for at in inner)
        if not node.entries or entries <= node.entries:
            node.step, node.entries = step, entries


def _walk(node: _Node, index: int) -> tuple[_Node, int]:
    """Where the bits of an index lead from a place, and how many of them are read."""
    step = node.step
    for bits in range(step):
        if node.branches is None:
            return node, bits
        node = node.branches[index >> (step - 1 - bits) & 1]
    return node, step
