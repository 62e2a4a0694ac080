"""What a file takes in each of the forms in which it is stored, sent and run, side by side."""

import dataclasses
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfopt._report import Report, Table
from tfopt._text import format_bytes, names_with_counts
from tfopt.compression._compress import compress_bytes
from tfopt.compression._container import deflate
from tfopt.compression._kernels import CompressedKernel, compress_kernels
from tfopt.compression._pack import buffers, pack_bytes
from tfopt.conversion import OPERANDS
from tfopt.kernels import TARGETS
from tfopt.runtimes import CannotRunError, TFLiteFile, estimate_npu, measure_size, sparse_bytes

_NPU = "ethos-u55-128"

# Column -> where its bytes are paid.
WHERE = {
    "raw": "flash, and the memory of a phone: the file as it is",
    "gzip": "download; unpacked first",
    "sparse": "flash; LiteRT unpacks it when it loads it: export(..., sparse=True)",
    "compressed": "flash; TFLite Micro decodes it while it runs: export(..., compress=True)",
    "vela": f"flash beside an {_NPU}, which decodes it while it runs",
    "packed": "download; unpacked first: tfopt pack",
    "entropy": "nowhere: kernels at their entropy bound, the rest deflated",
}


@dataclasses.dataclass(frozen=True)
class FileSizes:
    """Bytes of one file.

    Attributes:
        name: the caller's name for it.
        raw: as it is.
        gzip: after gzip.
        sparse: with kernels in LiteRT's sparse form where that is smaller, whether or not LiteRT reads it there.
        compressed: with kernels that TFLite Micro decodes while it runs.
        vela: in the flash of an Ethos-U, as Vela estimates it; None where it cannot say.
        packed: as `tfopt pack` makes it.
        entropy: with its kernels at their entropy bound, and the rest deflated.
        kernels: a row for each kernel.

    Example: see `sizes`.
    """

    name: str
    raw: int
    gzip: int
    sparse: int
    compressed: int
    vela: int | None
    packed: int
    entropy: int
    kernels: tuple[CompressedKernel, ...]


@dataclasses.dataclass(frozen=True)
class SizesReport(Report):
    """What you pay where: the bytes of files in each form.

    *Compressed* runs as it is, *packed* is unpacked first.

    Attributes:
        files: a row for each.
        missing: why a figure is not there, one line for each tool or file.

    Example: see `sizes`.
    """

    files: tuple[FileSizes, ...]
    missing: tuple[str, ...] = ()

    def table(self) -> Table:
        """A row for each form of one file, or a row for each of several files."""
        if len(self.files) > 1:
            rows = tuple((file.name, *(_text(file, form) for form in WHERE)) for file in self.files)
            notes = (f"{form}: {where}." for form, where in WHERE.items())
            return Table("What you pay where", ("file", *WHERE), rows, (*notes, *self.missing))
        (file,) = self.files
        rows = tuple((form, _text(file, form), where) for form, where in WHERE.items())
        return Table(f"What you pay where: {file.name}", ("form", "bytes", "where"), rows, self.missing)

    def kernel_table(self) -> Table:
        """A row for each kernel of all files: its bytes in the file, compressed, and at its entropy bound."""
        rows = tuple(
            (
                kernel.name if len(self.files) == 1 else f"{file.name}: {kernel.name}",
                format_bytes(kernel.before),
                format_bytes(kernel.after),
                format_bytes(kernel.entropy),
                kernel.form or "as it is",
            )
            for file in self.files
            for kernel in file.kernels
        )
        return Table("Kernels", ("kernel", "raw", "compressed", "entropy", "form"), rows)

    def __str__(self) -> str:
        return f"{self.table()}\n\n{self.kernel_table()}" if len(self.files) == 1 else str(self.table())

    def to_markdown(self) -> str:
        """The table in Markdown, and that of the kernels of one file."""
        more = [self.kernel_table().to_markdown()] if len(self.files) == 1 else []
        return "\n".join([self.table().to_markdown(), *more])


def sizes(files: str | os.PathLike | Mapping[str, str | os.PathLike]) -> SizesReport:
    """Measures files in each form in which they are stored, sent and run, to see what you pay where.

    Nothing is written, and but for Vela nothing is run; `compress_weights` writes what is called *compressed* here, and
    `pack` what is called *packed*.

    Args:
        files: the path of a .tflite file, or several by name.

    Returns:
        A `SizesReport`: it prints as a table and has `to_dict()`.

    Raises:
        ValueError: a path is missing or not a .tflite file.

    Example:

    >>> import keras, os, tempfile
    >>> from tfopt.compression import sizes
    >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, kernel_initializer="identity")])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
    >>> model.export(path, format="litert", verbose=False)
    >>> (file,) = sizes(path).files
    >>> file.raw > 16_384 > 2_000 > file.compressed, file.packed < file.gzip + 24, file.kernels[0].entropy
    (True, True, 68)
    """
    if not isinstance(files, (str, os.PathLike, Mapping)):
        raise TypeError(
            f"The 'files' argument must be a path, or a dict from names to paths. Got {files!r} instead."
        )
    named = files if isinstance(files, Mapping) else {Path(files).name: files}
    missing: dict[str, None] = {}
    rows = [_measure(name, TFLiteFile.read(path), missing) for name, path in named.items()]
    return SizesReport(tuple(rows), tuple(missing))


def _measure(name: str, file: TFLiteFile, missing: dict[str, None]) -> FileSizes:
    size = measure_size(file.content)
    target = TARGETS["tflm"]
    is_compressed = target.decoder in file.op_counts
    if is_compressed:
        kernels, compressed = compress_kernels(file, target)[0], size.raw
    else:
        made = compress_bytes(file, target)
        kernels, compressed = made.kernels, len(made.content)
    return FileSizes(
        name=name,
        raw=size.raw,
        gzip=size.gzip,
        sparse=sparse_bytes(size.raw, file.kernels),
        compressed=compressed,
        vela=_flash(name, file, missing) if not is_compressed else None,
        packed=len(pack_bytes(file.content)),
        entropy=sum(kernel.entropy for kernel in kernels) + len(deflate(_rest(file))),
        kernels=kernels,
    )


def _flash(name: str, file: TFLiteFile, missing: dict[str, None]) -> int | None:
    try:
        report = estimate_npu(file.content, _NPU)
    except ImportError as error:
        missing[str(error)] = None
    except CannotRunError as error:
        missing[f"vela: {name}: {error}"] = None
    else:
        on_cpu = Counter(row.operator for row in report.cpu if row.operator in OPERANDS)
        if report.npu_share and not on_cpu:
            return report.flash_bytes
        if report.npu_share:
            missing[
                f"vela: {name} has kernels on the CPU, which Vela does not count: {names_with_counts(on_cpu)}."
            ] = None
            return None
        missing[f"vela: the NPU computes nothing of {name}, which is not int8 or int16."] = None
    return None


def _rest(file: TFLiteFile) -> bytes:
    """The bytes of a file without its kernels."""
    kept = np.ones(len(file.content), bool)
    kernels = {kernel.buffer for kernel in file.kernels}
    for number, begin, size, _ in buffers(file.content):
        if number in kernels:
            kept[begin : begin + size] = False
    return np.frombuffer(file.content, np.uint8)[kept].tobytes()


def _text(file: FileSizes, form: str) -> str:
    found = getattr(file, form)
    return "-" if found is None else format_bytes(found)
