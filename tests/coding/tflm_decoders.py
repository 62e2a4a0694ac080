"""The decoders of TFLite Micro, written down value by value from decode_state_*.cc: slow, and unlike ours."""

import numpy as np


def decode(stream: bytes, ancillary: bytes, codes, by_grid: bool = False) -> np.ndarray:
    """What TFLite Micro makes of a form.

    `by_grid`: as it did until September 2026, when the grid's axis told where a look-up table changes.
    """
    kind, version = ancillary[0], ancillary[4]
    assert ancillary[1] == version == 1
    tables = ancillary[16:]
    reader = {0: _lookup, 1: _huffman, 2: _prune}[kind]
    patterns = reader(stream, ancillary, tables, codes, by_grid)
    return np.array(patterns, codes.patterns.dtype).view(codes.values.dtype).reshape(codes.values.shape)


def _bit(stream: bytes, at: int) -> int:
    return stream[at >> 3] >> (~at & 7) & 1


def _bits(stream: bytes, at: int, count: int) -> int:
    found = 0
    for place in range(at, at + count):
        found = found << 1 | _bit(stream, place)  # past the stream's end: an IndexError
    return found


def _prune(stream, ancillary, tables, codes, by_grid):
    values = iter(np.frombuffer(tables, codes.patterns.dtype))
    zero = np.array(codes.zero_point).astype(codes.patterns.dtype)
    return [next(values) if _bit(stream, at) else zero for at in range(codes.values.size)]


def _lookup(stream, ancillary, tables, codes, by_grid):
    width, stride, shape = ancillary[5] & 7, ancillary[6], codes.values.shape
    axis = codes.axis if by_grid else None if ancillary[5] >> 4 == 15 else ancillary[5] >> 4
    values = np.frombuffer(tables, codes.patterns.dtype)
    channels = np.zeros(shape, int) if axis is None else np.indices(shape)[axis]
    return [
        values[_bits(stream, at * width, width) + stride * channel]
        for at, channel in enumerate(channels.flat)
    ]


def _huffman(stream, ancillary, tables, codes, by_grid):
    assert not ancillary[5] & 1 and len(stream) % 4 == 0
    entries, first = np.frombuffer(tables, "<u2").tolist(), (ancillary[5] >> 4) + 1
    found, place = [], 0
    for _ in range(codes.values.size):
        step = first
        at = _bits(stream, place, step)
        place += step
        while not entries[at] & 0x8000:
            step = (entries[at] >> 11) + 1
            at += (entries[at] & 0x7FF) + _bits(stream, place, step)
            place += step
        place -= max(0, step - (entries[at] >> 11 & 0xF))
        found.append(entries[at] & 0xFF)
    return found
