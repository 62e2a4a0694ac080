"""`compress_weights`: a .tflite file whose kernels the runtime decodes while it runs."""

import dataclasses
import os
from collections.abc import Mapping
from types import MappingProxyType

from tfopt._files import check_parent, write_whole
from tfopt.coding import Encoded
from tfopt.compression._insert import insert_decoders
from tfopt.compression._kernels import CompressedKernel, compress_kernels, left_alone
from tfopt.compression._prove import prove_equal
from tfopt.compression._report import CompressionReport
from tfopt.compression._strip import renumber, strip
from tfopt.conversion import Flatbuffer
from tfopt.kernels import TARGETS, Target
from tfopt.runtimes import Arena, TFLiteFile
from tfopt.runtimes._tflite_file import damaged


def compress_weights(
    path: str | os.PathLike,
    output: str | os.PathLike | None = None,
    *,
    target: str = "tflm",
    max_arena: int | None = None,
) -> CompressionReport:
    """Writes a .tflite file again with its kernels compressed, which the runtime decodes while it runs.

    TFLite Micro has an operator for this, TFLM_DECODE (2026). Each kernel takes the smallest of its forms: a bitmap of
    its zeros and the other values (*prune*), a *Huffman* code, or the numbers of its values in a *lookup table*, one
    for all or one for each channel; and it stays as it is where none is smaller with its decoder, or where its operator
    reads it before anything is decoded. What the runtime does not read is left out: tensors' names but for inputs and
    outputs, signatures, metadata but for the file's target. Before it is written the file runs in TFLite Micro on
    random inputs: each decoded kernel and every output must be equal to the last bit.

    A kernel is decoded each time before its operator runs, which takes time, and memory of the size of the largest of
    them in the arena; the report says how much. In C++ the operator resolver needs `AddDecode()`.

    Args:
        path: the .tflite file.
        output: the file to write; by default `path` is replaced, after the new file is complete.
        target: a target whose runtime decodes kernels: `"tflm"`.
        max_arena: bytes that the arena may take, as `Arena.total` counts them on this machine: the largest kernels stay
            as they are until it is enough. No limit by default.

    Returns:
        A `CompressionReport`: it prints as a table and has `to_dict()`.

    Raises:
        ValueError: the path is missing or not a .tflite file, it is compressed already, or the target's runtime has no
            decoder; or the plain file needs more than `max_arena`.
        ImportError: TFLite Micro is not installed.
        CannotRunError: TFLite Micro cannot run the file.
        RuntimeError: the compressed file computes something else.

    Example:

    >>> import keras, numpy as np, os, tempfile, tfopt
    >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, use_bias=False)])
    >>> kernel = np.random.default_rng(0).choice([-1.0, 0.0, 0.5], size=(64, 64))
    >>> model.set_weights([kernel])
    >>> q = tfopt.quantize(model, np.ones((8, 64)), tfopt.QuantConfig.for_target("tflm"))
    >>> file = tfopt.export(q, os.path.join(tempfile.mkdtemp(), "model.tflite"))
    >>> report = tfopt.compression.compress_weights(file.path)
    >>> report.kernels[0].before, report.kernels[0].after, report.kernels[0].form, report.after < 2000
    (4096, 880, 'Huffman', True)
    """
    row = check_decoder(target)
    source = TFLiteFile.read(path)
    output = check_parent(path if output is None else output, "output")
    try:
        made, arenas = _within(source, row, max_arena)
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError) as error:  # found only here
        raise damaged(source.name, error) from error
    write_whole(output, made.content)
    return CompressionReport(
        str(output), len(source.content), made.stripped, len(made.content), made.kernels, *arenas
    )


def _within(
    source: TFLiteFile, target: Target, max_arena: int | None
) -> "tuple[CompressedFile, tuple[Arena, Arena]]":
    """The compressed file, which has run, and the arena that the plain one and it need."""
    alone: dict[int, str] = {}
    while True:
        made = compress_bytes(source, target, alone)
        before, after = prove_equal(source.content, made.content, made.written)
        if max_arena is None or after.total <= max_arena:
            return made, (before, after)
        compressed = {number: kernel.before for number, kernel in enumerate(made.kernels) if kernel.form}
        if not compressed:
            raise ValueError(
                f"The 'max_arena' argument must be at least {after.total:,}, which TFLite Micro takes for the plain "
                f"file on this machine. Got {max_arena!r}. Leave it out for no limit."
            )
        alone[max(compressed, key=compressed.__getitem__)] = (
            f"decoded, it does not fit in max_arena={max_arena:,}"
        )


@dataclasses.dataclass(frozen=True)
class CompressedFile:
    """A compressed file that is not checked yet.

    Attributes:
        content: its bytes.
        stripped: how many bytes it has without compressed kernels.
        kernels: a row for each kernel.
        written: the tensors that decoders write, by the constant of the plain file.
    """

    content: bytes
    stripped: int
    kernels: tuple[CompressedKernel, ...]
    written: dict[int, list[int]]


def compress_bytes(
    file: TFLiteFile, target: Target, alone: Mapping[int, str] = MappingProxyType({})
) -> CompressedFile:
    """The compressed file, without a run of it; the arguments are those of `compress_kernels`.

    Raises:
        ValueError: it is compressed already.
    """
    if any(op.name == target.decoder for op in file.operators):
        raise ValueError(
            f"The 'path' argument must name a file with plain kernels. Got {file.name}, which has {target.decoder} "
            "operators: it is compressed already. Pass the file that it was made from."
        )
    rows, kernels = compress_kernels(file, target, alone)
    plain, _ = _written(file.content, {}, target.decoder)
    content, written = _written(file.content, kernels, target.decoder)
    if kernels and len(content) >= len(
        plain
    ):  # the operator's name, which is stored once, is not in OVERHEAD
        rows, content, written = tuple(map(left_alone, rows)), plain, {}
    return CompressedFile(content, len(plain), rows, written)


def stripped_bytes(file: TFLiteFile) -> bytes:
    """The file without what TFLite Micro does not read, and with plain kernels; it has run there beside the whole one.

    Raises:
        ImportError: TFLite Micro is not installed.
        CannotRunError: it cannot run the file.
    """
    content, _ = _written(file.content, {}, TARGETS["tflm"].decoder)
    prove_equal(file.content, content, {})
    return content


def _written(content: bytes, kernels: dict[int, Encoded], decoder: str) -> tuple[bytes, dict[int, list[int]]]:
    flatbuffer = Flatbuffer(content)
    strip(flatbuffer)
    written = insert_decoders(flatbuffer, kernels, decoder)
    renumber(flatbuffer)
    return flatbuffer.to_bytes(), written


def check_decoder(target: str, argument: str = "target") -> Target:
    """The row of a target, if its runtime decodes kernels.

    Args:
        target: the target.
        argument: what to call it in messages.

    Raises:
        ValueError: the target is unknown, or its runtime does not.
    """
    able = [name for name, row in TARGETS.items() if row.decoder]
    if target not in able:
        why = f": {TARGETS[target].instead}" if target in TARGETS else ", which is unknown"
        raise ValueError(
            f"The '{argument}' argument needs a target whose runtime decodes kernels while it runs: "
            f"{', '.join(map(repr, able))}. Got {target!r}{why}."
        )
    return TARGETS[target]
