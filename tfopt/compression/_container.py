"""The format of packed files; `docs/packed_files.md` describes it byte by byte."""

import dataclasses
import struct
import zlib

import numpy as np

MAGIC = b"TFPK"
VERSION = 1
# Bytes of a stream that are coded with one state, as a power of two.
BLOCK_BITS = 13

# Magic, version, BLOCK_BITS, streams; bytes of the file, its CRC-32, bytes of the description and of it deflated.
_HEAD = struct.Struct("<4sBBHIIII")
# Where a stream begins in the file, how many bytes it has, how far apart they are; its table follows.
_STREAM = struct.Struct("<IIB")
_ROW_BYTES = _STREAM.size + 512


@dataclasses.dataclass(frozen=True, eq=False)
class Stream:
    """Bytes of a file that are coded by their frequency.

    Args:
        begin: where the first one is.
        count: how many there are.
        stride: how far apart they are: 1, or the bytes of a number, of which a stream holds the first, second, ...
        table: the shares of the 256 bytes, of 4,096.
    """

    begin: int
    count: int
    stride: int
    table: np.ndarray

    @property
    def places(self) -> slice:
        """Where the bytes are in the file."""
        return slice(self.begin, self.begin + (self.count - 1) * self.stride + 1, self.stride)

    def blocks(self, block: int) -> int:
        """How many blocks it takes."""
        return -(-self.count // block)


@dataclasses.dataclass(frozen=True, eq=False)
class Container:
    """What a packed file holds.

    Args:
        size: bytes of the file.
        crc: its CRC-32.
        streams: what is coded.
        blocks: the words of their blocks.
        rest: the other bytes of the file.
        block_bits: bytes in a block, as a power of two.
    """

    size: int
    crc: int
    streams: list[Stream]
    blocks: list[np.ndarray]
    rest: bytes
    block_bits: int = BLOCK_BITS

    def to_bytes(self) -> bytes:
        """The packed file."""
        rows = [
            _STREAM.pack(stream.begin, stream.count, stream.stride) + table_bytes(stream.table)
            for stream in self.streams
        ]
        sizes = np.array([len(words) for words in self.blocks], "<u2").tobytes()
        description = b"".join([*rows, sizes, self.rest])
        deflated = deflate(description)
        head = (MAGIC, VERSION, self.block_bits, len(self.streams), self.size, self.crc)
        words = b"".join(block.tobytes() for block in self.blocks)
        return _HEAD.pack(*head, len(description), len(deflated)) + deflated + words

    @classmethod
    def of(cls, packed: bytes, max_bytes: int) -> "Container":
        """Reads a packed file.

        Raises:
            ValueError: it is none, is damaged, or its content is larger than `max_bytes`.
        """
        if len(packed) < _HEAD.size or packed[:4] != MAGIC:
            raise ValueError(f"it begins with {packed[:4]!r} instead of {MAGIC!r}")
        _, version, block_bits, streams, size, crc, length, deflated = _HEAD.unpack_from(packed)
        if version != VERSION or block_bits > 16:
            raise ValueError(f"it is of version {version}.{block_bits}, which this tfopt does not read")
        if size > max_bytes:
            raise ValueError(
                f"its content has {size:,} bytes, more than the {max_bytes:,} that 'max_bytes' allows"
            )
        # The rest of the file, a row for each stream, and 2 bytes for each block, which holds 1 of the file or more.
        if length > 3 * size + _ROW_BYTES * streams or _HEAD.size + deflated > len(packed):
            raise ValueError("its head does not fit its length")
        description = _inflate(packed[_HEAD.size : _HEAD.size + deflated], length)
        return _read(description, packed[_HEAD.size + deflated :], streams, size, crc, block_bits)


def _read(description: bytes, payload: bytes, count: int, size: int, crc: int, block_bits: int) -> Container:
    if len(description) < _ROW_BYTES * count:
        raise ValueError("its description ends early")
    streams = []
    for at in range(0, _ROW_BYTES * count, _ROW_BYTES):
        begin, values, stride = _STREAM.unpack_from(description, at)
        if not values or not stride or begin + (values - 1) * stride >= size:
            raise ValueError("a stream does not lie in the file")
        low, high = (
            np.frombuffer(description, np.uint8, 512, at + _STREAM.size).reshape(2, 256).astype(np.int64)
        )
        streams.append(Stream(begin, values, stride, low + 256 * high))
        if streams[-1].table.sum() != 1 << 12:
            raise ValueError("the shares of a stream do not add up")
    at = _ROW_BYTES * count
    coded = sum(stream.count for stream in streams)
    if coded > size:
        raise ValueError("its streams are longer than the file")
    blocks = sum(stream.blocks(1 << block_bits) for stream in streams)
    sizes = np.frombuffer(description[at : at + 2 * blocks], np.uint8)
    rest = description[at + 2 * blocks :]
    ends = 2 * np.cumsum(sizes.view("<u2") if len(sizes) == 2 * blocks else [], dtype=np.int64)
    if len(ends) != blocks or len(payload) != (ends[-1] if blocks else 0) or len(rest) + coded != size:
        raise ValueError("its parts do not add up to its length")
    words = [np.frombuffer(part, "<u2") for part in _parts(payload, ends.tolist())]
    return Container(size, crc, streams, words, rest, block_bits)


def _parts(payload: bytes, ends: list[int]) -> list[bytes]:
    return [payload[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def table_bytes(table: np.ndarray) -> bytes:
    """The shares of the 256 bytes: their low bytes, and then their high ones, which deflate well."""
    return (table & 0xFF).astype(np.uint8).tobytes() + (table >> 8).astype(np.uint8).tobytes()


def deflate(content: bytes, level: int = 9) -> bytes:
    """The bytes after DEFLATE (RFC 1951), without head or checksum."""
    # Kernels of few values take level 9 a second for a megabyte, and level 7 a seventh of it for a few percent more.
    packer = zlib.compressobj(level if len(content) < 1 << 20 else min(level, 7), zlib.DEFLATED, -15, 9)
    return packer.compress(content) + packer.flush()


def deflated_bytes(values: np.ndarray) -> int:
    """How many bytes DEFLATE makes of an array, near enough to choose by: found on a part of a long one."""
    part = values[: 1 << 16]
    return round(len(deflate(part.tobytes(), level=7)) * len(values) / len(part))


def _inflate(content: bytes, length: int) -> bytes:
    """The bytes before `deflate`, which must be so many."""
    unpacker = zlib.decompressobj(-15)
    try:
        found = unpacker.decompress(content, length + 1)
    except zlib.error as error:
        raise ValueError(f"its description is damaged ({error})") from error
    if len(found) != length or not unpacker.eof:
        raise ValueError("its description has another length")
    return found
