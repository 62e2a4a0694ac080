"""Asymmetric numeral systems: an arithmetic code of bytes by their frequency, within a percent of the entropy bound.

The range variant, rANS (Duda 2013, https://arxiv.org/abs/1311.2540), with a state of 32 bits that gives and takes
words of 16 bits. A stream is cut into blocks with a state of their own, which are coded side by side: one NumPy
operation does a step of all of them.
"""

from collections.abc import Sequence

import numpy as np

# Frequencies are shares of 2 ** 12.
PRECISION = 12
_LOWEST = 1 << 16
# Streams coded side by side, which bounds the memory of their tables.
_GROUP = 64


def shares(counts: np.ndarray) -> np.ndarray:
    """Counts as whole shares of 4,096: at least 1 for each byte that occurs.

    >>> from tfopt.coding._ans import shares
    >>> shares(np.array([90, 0, 9, 1])).tolist()
    [3686, 0, 369, 41]
    """
    total = 1 << PRECISION
    found = np.where(counts > 0, np.maximum(1, np.round(counts * (total / counts.sum()))), 0).astype(np.int64)
    while missing := total - int(found.sum()):
        # Most frequent first: there one more or less changes the words least.
        change = np.argsort(-found, kind="stable")[: min(abs(missing), np.count_nonzero(found > 1) or 1)]
        found[change] += np.sign(missing)
    return found


def encode(streams: Sequence[np.ndarray], tables: np.ndarray, block: int) -> list[list[np.ndarray]]:
    """Each stream of bytes as blocks of 16-bit words.

    Args:
        streams: bytes, flat.
        tables: `(streams, 256)`, the shares of each.
        block: bytes in a block.

    Returns:
        For each stream its blocks: the words of the state, low one first, and then those that the decoder takes in.

    >>> from tfopt.coding._ans import decode, encode, shares
    >>> stream = np.array([0, 0, 1, 0, 0, 0, 2, 0], "uint8")
    >>> tables = shares(np.bincount(stream, minlength=256))[None]
    >>> (blocks,) = encode([stream], tables, block=8)
    >>> [word.tolist() for word in blocks], decode(blocks, [8], tables, block=8)[0].tolist()
    ([[33792, 359]], [0, 0, 1, 0, 0, 0, 2, 0])
    """
    coded: list[list[np.ndarray]] = []
    for at in range(0, len(streams), _GROUP):
        coded += _encode_group(streams[at : at + _GROUP], tables[at : at + _GROUP], block)
    return coded


def _encode_group(streams: Sequence[np.ndarray], tables: np.ndarray, block: int) -> list[list[np.ndarray]]:
    owners, starts, lengths = _rows([len(stream) for stream in streams], block)
    order = np.argsort(-lengths, kind="stable")
    longest, active = int(lengths.max(initial=0)), _active(lengths)
    # Step after step, each a row: the bytes that all blocks code in it.
    values = np.zeros((longest, len(order)), np.uint8)
    for column, row in enumerate(order):
        values[: lengths[row], column] = streams[owners[row]][starts[row] :][: lengths[row]]
    begins = (np.cumsum(tables, axis=1) - tables).reshape(-1)
    sizes, base = tables.reshape(-1), owners[order] * 256
    state = np.full(len(order), _LOWEST, np.int64)
    words = np.zeros((len(order), longest + 1), "<u2")
    used = np.zeros(len(order), np.int64)
    every = np.arange(len(order))
    for step in range(longest - 1, -1, -1):
        count = active[step]
        now, symbols = state[:count], base[:count] + values[step, :count]
        size = sizes[symbols]
        full = now >= size << (32 - PRECISION)
        words[every[:count], used[:count]] = now & 0xFFFF  # overwritten by the next one where it is not full
        used[:count] += full
        now = np.where(full, now >> 16, now)
        quotient, rest = np.divmod(now, size)
        state[:count] = (quotient << PRECISION) + rest + begins[symbols]
    blocks: list[list[np.ndarray]] = [[] for _ in streams]
    columns = np.argsort(order, kind="stable")
    for row, owner in enumerate(owners):
        column = columns[row]
        head = np.array([state[column] & 0xFFFF, state[column] >> 16], "<u2")
        blocks[owner].append(np.concatenate([head, words[column, : used[column]][::-1]]))
    return blocks


def decode(
    blocks: Sequence[np.ndarray], lengths: Sequence[int], tables: np.ndarray, block: int
) -> list[np.ndarray]:
    """The streams that `encode` coded.

    Args:
        blocks: the words of all blocks, those of the first stream first.
        lengths: bytes of each stream.
        tables: `(streams, 256)`, the shares of each.
        block: bytes in a block.

    Raises:
        ValueError: a block is damaged.

    Example: see `encode`.
    """
    decoded: list[np.ndarray] = []
    begin = 0
    for at in range(0, len(lengths), _GROUP):
        group = lengths[at : at + _GROUP]
        count = sum(-(-length // block) for length in group)
        decoded += _decode_group(blocks[begin : begin + count], group, tables[at : at + _GROUP], block)
        begin += count
    return decoded


def _decode_group(
    blocks: Sequence[np.ndarray], lengths: Sequence[int], tables: np.ndarray, block: int
) -> list[np.ndarray]:
    owners, starts, sizes = _rows(lengths, block)
    order = np.argsort(-sizes, kind="stable")
    longest, active = int(sizes.max(initial=0)), _active(sizes)
    # For each of the 4,096 places of a table: its byte, that byte's share, and how far into the share the place is.
    symbol = np.stack([np.repeat(np.arange(256, dtype=np.uint8), table) for table in tables])
    share = np.take_along_axis(tables, symbol.astype(np.int64), 1)
    begins = np.cumsum(tables, axis=1) - tables
    inside = np.arange(1 << PRECISION) - np.take_along_axis(begins, symbol.astype(np.int64), 1)
    symbol, share, inside = symbol.reshape(-1), share.reshape(-1), inside.reshape(-1)

    words = np.concatenate([*(blocks[row] for row in order), np.zeros(1, "<u2")]).astype(np.int64)
    ends = np.cumsum([len(blocks[row]) for row in order])
    place = ends - [len(blocks[row]) for row in order] + 2
    if (place > ends).any():
        raise ValueError("A block is shorter than its state.")
    state, base = words[place - 2] | words[place - 1] << 16, owners[order] << PRECISION
    values = np.zeros((longest, len(order)), np.uint8)
    for step in range(longest):
        count = active[step]
        now = state[:count]
        at = base[:count] + (now & ((1 << PRECISION) - 1))
        values[step, :count] = symbol[at]
        now = share[at] * (now >> PRECISION) + inside[at]
        empty = now < _LOWEST
        word = words[np.minimum(place[:count], ends[:count])]
        state[:count] = np.where(empty, now << 16 | word, now)
        place[:count] += empty
    if (place != ends).any() or (state != _LOWEST).any():
        raise ValueError("A block does not end where its bytes do.")
    streams = [np.empty(length, np.uint8) for length in lengths]
    for column, row in enumerate(order):
        streams[owners[row]][starts[row] :][: sizes[row]] = values[: sizes[row], column]
    return streams


def _rows(lengths: Sequence[int], block: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each block: the stream that it belongs to, where it begins in it, and its bytes."""
    counts = np.array([-(-length // block) for length in lengths], np.int64)
    owners = np.repeat(np.arange(len(lengths)), counts)
    starts = (np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)) * block
    return owners, starts, np.minimum(block, np.repeat(np.array(lengths, np.int64), counts) - starts)


def _active(lengths: np.ndarray) -> np.ndarray:
    """How many blocks are longer than 0, 1, 2, ... bytes."""
    return len(lengths) - np.searchsorted(
        np.sort(lengths), np.arange(int(lengths.max(initial=0))), side="right"
    )
