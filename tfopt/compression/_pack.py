"""`pack` and `unpack`: a .tflite file as few bytes for transport, and back."""

import os
import zlib
from pathlib import Path

import numpy as np

from tfopt._files import check_parent, is_same_file, write_whole
from tfopt.coding import decode_blocks, encode_blocks, entropy_bytes, histogram, shares
from tfopt.compression._container import BLOCK_BITS, Container, Stream, deflate, deflated_bytes, table_bytes
from tfopt.runtimes import BITS, TFLiteFile

# Buffers below so many bytes are not worth a table of their own.
_SMALLEST = 128
# Bytes of a block beside its words: its state, and its length.
_BLOCK_HEAD = 6
MAX_BYTES = 1 << 28


def pack(path: str | os.PathLike, output: str | os.PathLike, *, strip: bool = False) -> Path:
    """Writes a .tflite file as few bytes, to be sent to devices, which unpack it.

    Lossless: `unpack` gives the file back, bit for bit. The last step of Deep Compression (Han et al. 2016,
    https://arxiv.org/abs/1510.00149) with an arithmetic code in place of Huffman's: each kernel is coded by the
    frequencies of its bytes, close to its entropy bound, where DEFLATE is not smaller; the rest of the file is
    deflated. `docs/packed_files.md` describes the format, and `examples/unpack.c` reads it, in C.

    Args:
        path: the .tflite file.
        output: the file to write.
        strip: for TFLite Micro alone: leave out first what it does not read, as `compress_weights` does: names, the
            signature, descriptions. `unpack` gives back that file then, which has run beside the whole one.

    Returns:
        `output`.

    Raises:
        ValueError: the path is missing or not a .tflite file, or `output` is the same or in no folder that exists.
        ImportError: with `strip`, TFLite Micro is not installed.
        CannotRunError: with `strip`, TFLite Micro cannot run the file.

    Example:

    >>> import keras, tempfile
    >>> from pathlib import Path
    >>> from tfopt.compression import pack, unpack
    >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, "relu", kernel_initializer="ones")])
    >>> folder = Path(tempfile.mkdtemp())
    >>> model.export(folder / "a.tflite", format="litert", verbose=False)
    >>> packed = pack(folder / "a.tflite", folder / "a.tfpk")
    >>> (folder / "a.tflite").stat().st_size > 17_000, packed.stat().st_size < 1_500
    (True, True)
    >>> unpack(packed, folder / "b.tflite").read_bytes() == (folder / "a.tflite").read_bytes()
    True
    """
    output = _other(path, output)
    file = TFLiteFile.read(path)
    content = file.content
    if strip:
        # Imported here: it loads Keras, and packing a whole file needs nothing of it.
        from tfopt.compression._compress import stripped_bytes

        content = stripped_bytes(file)
    write_whole(output, pack_bytes(content))
    return output


def unpack(path: str | os.PathLike, output: str | os.PathLike, *, max_bytes: int = MAX_BYTES) -> Path:
    """Writes the .tflite file that `pack` packed.

    A damaged file is an error, and nothing is written then: the content must have the checksum of the packed one. Names
    of files are not part of the format: `output` is all that is ever written.

    Args:
        path: the packed file.
        output: the .tflite file to write.
        max_bytes: the largest file to make of it, which bounds the memory that a damaged or hostile one can take.

    Returns:
        `output`.

    Raises:
        ValueError: the path is missing or not a packed file, or damaged; its content is larger than `max_bytes`; or the
            folder of `output` does not exist.

    Example: see `pack`.
    """
    output = _other(path, output)
    source = Path(path)
    if not source.is_file():
        raise ValueError(
            f"The 'path' argument must be the path of a packed file. There is no file {str(path)!r}."
        )
    try:
        content = unpack_bytes(source.read_bytes(), max_bytes)
    except ValueError as error:
        raise ValueError(
            f"The 'path' argument must name a whole file that tfopt pack wrote. Got {str(path)!r}, which cannot be "
            f"unpacked: {error}. Fetch it again, or raise 'max_bytes' if that is what it says."
        ) from error
    write_whole(output, content)
    return output


def _other(path: str | os.PathLike, output: str | os.PathLike) -> Path:
    """The output, if it can be written and is not what is read."""
    output = check_parent(output, "output")
    if isinstance(path, (str, os.PathLike)) and is_same_file(path, output):
        raise ValueError(
            f"The 'output' argument must not be the file that is read. Got {str(output)!r} for both. Name another."
        )
    return output


def pack_bytes(content: bytes, block_bits: int = BLOCK_BITS) -> bytes:
    """The bytes of a .tflite file, packed.

    Args:
        content: the file.
        block_bits: bytes coded with one state, as a power of two.
    """
    whole = np.frombuffer(content, np.uint8)
    block = 1 << block_bits
    large = [span for _, *span in buffers(content) if span[1] >= _SMALLEST]
    streams = [
        stream for begin, size, stride in large for stream in _streams(whole, begin, size, stride, block)
    ][: 2**16 - 1]
    coded = [np.ascontiguousarray(whole[stream.places]) for stream in streams]
    tables = np.array([stream.table for stream in streams]).reshape(-1, 256)
    blocks = [words for found in encode_blocks(coded, tables, block) for words in found]
    rest = np.ones(len(whole), bool)
    for stream in streams:
        rest[stream.places] = False
    crc = zlib.crc32(content)
    return Container(len(whole), crc, streams, blocks, whole[rest].tobytes(), block_bits).to_bytes()


def unpack_bytes(packed: bytes, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a .tflite file that `pack_bytes` packed.

    Raises:
        ValueError: they are damaged, or more than `max_bytes`.
    """
    held = Container.of(packed, max_bytes)
    whole, rest = np.empty(held.size, np.uint8), np.ones(held.size, bool)
    tables = np.array([stream.table for stream in held.streams]).reshape(-1, 256)
    lengths = [stream.count for stream in held.streams]
    for stream, values in zip(
        held.streams, decode_blocks(held.blocks, lengths, tables, 1 << held.block_bits), strict=True
    ):
        whole[stream.places] = values
        rest[stream.places] = False
    if np.count_nonzero(rest) != len(held.rest):
        raise ValueError("its streams overlap")
    whole[rest] = np.frombuffer(held.rest, np.uint8)
    content = whole.tobytes()
    if zlib.crc32(content) != held.crc:
        raise ValueError("its content does not have its checksum")
    return content


def buffers(content: bytes) -> list[tuple[int, int, int, int]]:
    """Of each constant of a file: its number, where it begins, its bytes, and the bytes of one number of it."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content)
    dtypes = {
        value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)
    }
    strides: dict[int, int] = {}
    for graph in (model.Subgraphs(number) for number in range(model.SubgraphsLength())):
        for tensor in (graph.Tensors(number) for number in range(graph.TensorsLength())):
            strides[tensor.Buffer()] = max(1, BITS.get(dtypes[tensor.Type()], 8) // 8)
    base = np.frombuffer(content, np.uint8).ctypes.data
    found: dict[int, tuple[int, int, int, int]] = {}
    for number, stride in strides.items():
        buffer = model.Buffers(number)
        data = buffer.DataAsNumpy()
        if buffer.Offset() > 1:  # behind the flatbuffer
            found[buffer.Offset()] = (number, buffer.Offset(), buffer.Size(), stride)
        elif isinstance(data, np.ndarray) and data.size:
            begin = data.ctypes.data - base
            found[begin] = (number, begin, data.size, stride)
    return [found[begin] for begin in sorted(found)]


def _streams(whole: np.ndarray, begin: int, size: int, stride: int, block: int) -> list[Stream]:
    """The streams of a constant that are fewer bytes when they are coded than when they are deflated.

    None where deflating the constant as a whole is better still: the bytes of a zero go together.
    """
    found, coded = [], 0
    for first in range(begin, begin + stride):
        values = np.ascontiguousarray(whole[first : begin + size : stride])
        stream = Stream(first, len(values), stride, shares(histogram(values)))
        heads = len(deflate(table_bytes(stream.table))) + _BLOCK_HEAD * stream.blocks(block)
        cost, deflated = entropy_bytes(values) + heads, deflated_bytes(values)
        coded += min(cost, deflated)
        if cost < deflated:
            found.append(stream)
    if stride > 1 and coded >= deflated_bytes(whole[begin : begin + size]):
        return []
    return found
