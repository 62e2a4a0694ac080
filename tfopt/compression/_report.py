"""What `compress_weights` returns."""

import dataclasses

from tfopt._report import Report, Table
from tfopt._text import format_bytes
from tfopt.compression._kernels import CompressedKernel
from tfopt.runtimes import Arena


@dataclasses.dataclass(frozen=True)
class CompressionReport(Report):
    """What a file holds whose kernels the runtime decodes while it runs.

    Attributes:
        path: the file.
        before: bytes of the plain file.
        stripped: bytes of the plain file without what the runtime does not read.
        after: bytes of the file.
        kernels: a row for each kernel: its bytes before and after, and why it is left alone if it is.
        arena_before: the memory that the runtime takes for the plain file.
        arena_after: and for this one, in which a decoded kernel lies while its operator runs.

    Example: see `compress_weights`.
    """

    path: str
    before: int
    stripped: int
    after: int
    kernels: tuple[CompressedKernel, ...]
    arena_before: Arena
    arena_after: Arena

    def table(self) -> Table:
        """A row for each kernel; the file and its memory in the notes."""
        rows = tuple(
            (
                kernel.name,
                format_bytes(kernel.before),
                format_bytes(kernel.after),
                format_bytes(kernel.entropy),
                kernel.form or "as it was",
            )
            for kernel in self.kernels
        )
        done = sum(not kernel.reason for kernel in self.kernels)
        grown = self.arena_after.total - self.arena_before.total
        notes = (
            f"File: {self.before:,} bytes, {self.stripped:,} without names and what else TFLite Micro does not "
            f"read, {self.after:,} with {done} of {len(self.kernels)} kernels compressed.",
            f"Arena: {self.arena_before.total:,} bytes, now {self.arena_after.total:,} ({grown:+,}): a kernel is "
            "decoded there each time before its operator runs.",
            *(f"{kernel.name} is as it was: {kernel.reason}." for kernel in self.kernels if kernel.reason),
        )
        return Table(f"Compressed {self.path}", ("kernel", "before", "after", "entropy", "form"), rows, notes)
