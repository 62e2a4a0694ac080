"""Files timed in turns, so that what else the machine does meets all of them alike."""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfopt._progress import progress
from tfopt._report import Report, Table
from tfopt._text import format_bytes
from tfopt.runtimes._latency import check_count, prepared, time_call
from tfopt.runtimes._registry import load
from tfopt.runtimes._runtime import Runtime

# Calls of one file before it is the next one's turn: enough to warm its caches again.
_CALLS, _WARMUP = 10, 3


@dataclasses.dataclass(frozen=True)
class BenchRow:
    """Times of one file in milliseconds.

    Args:
        name: the file's name in the table.
        median_ms: the median over turns of the median of a turn's calls.
        low_ms: lower end of the interval that holds the true median with 95 %.
        high_ms: its upper end.
        p95_ms: 95 % of the calls were faster.
        runs: number of calls timed.
        raw_bytes: size of the file.
        memory_bytes: the arena of TFLite Micro; elsewhere activations alive at once.
    """

    name: str
    median_ms: float
    low_ms: float
    high_ms: float
    p95_ms: float
    runs: int
    raw_bytes: int
    memory_bytes: int


@dataclasses.dataclass(frozen=True)
class BenchReport(Report):
    """What `bench` measured; prints as a table. The other files are compared with the first.

    Args:
        runtime: title of the runtime.
        num_threads: threads that one operator may use.
        rows: one for each file.

    Example: see `bench`.
    """

    runtime: str
    num_threads: int
    rows: tuple[BenchRow, ...]

    def table(self) -> Table:
        """One row for each file."""
        rows = [
            (
                row.name,
                f"{row.median_ms:.4g} ms",
                f"{row.low_ms:.4g} to {row.high_ms:.4g}",
                f"{row.p95_ms:.4g} ms",
                format_bytes(row.raw_bytes),
                format_bytes(row.memory_bytes),
            )
            for row in self.rows
        ]
        notes = [self.against_first(row) for row in self.rows[1:]]
        threads = "one thread" if self.num_threads == 1 else f"{self.num_threads} threads"
        notes.append(
            f"{self.runtime} with {threads}, {self.rows[0].runs} calls of each file on this machine, {_CALLS} at a "
            f"time in turns, after {_WARMUP} that do not count. median: with the interval that holds it with 95 %."
        )
        columns = ("file", "median", "interval", "p95", "size", "memory")
        return Table(f"Latency of {len(self.rows)} files", columns, tuple(rows), tuple(notes))

    def against_first(self, row: BenchRow) -> str:
        """A file beside the first one, in words; no difference is claimed where the intervals overlap."""
        first = self.rows[0]
        if row.low_ms <= first.high_ms and first.low_ms <= row.high_ms:
            return f"{row.name} against {first.name}: no difference, the intervals overlap."
        ratio = first.median_ms / row.median_ms
        text = f"{ratio:.3g} times faster" if ratio > 1 else f"{1 / ratio:.3g} times slower"
        return f"{row.name} against {first.name}: {text}."


def bench(
    files: Mapping[str, str | os.PathLike | bytes] | Sequence[str | os.PathLike],
    runs: int = 200,
    runtime: str = "xnnpack",
    num_threads: int = 1,
    shapes: Sequence[tuple[int, ...]] | None = None,
) -> BenchReport:
    """Times .tflite files against each other on this machine.

    They take turns, so that a busy machine does not favour one of them, and a difference is claimed only where the
    intervals of the medians are apart. What it says of a phone is a guess, of a microcontroller nothing: there count
    operations, or ask Vela (`estimate_npu`).

    Args:
        files: a dict from names to paths or bytes, or paths. Put the baseline first.
        runs: calls to time of each, in turns of 10: rounded up to whole turns, at least 6 of them.
        runtime: as for `run`.
        num_threads: threads that one operator may use.
        shapes: the shape of each input, for files with open dimensions; these are 1 by default.

    Returns:
        A `BenchReport`.

    Raises:
        ValueError: there is no file, `runs` is below 60, a file is missing, or `runtime` is unknown.
        CannotRunError: the runtime cannot run a file.

    Example:

    >>> import keras, os, tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.ReLU()])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
    >>> model.export(path, format="litert", verbose=False)
    >>> (row,) = bench([path], runs=60).rows
    >>> row.name, row.runs, row.low_ms <= row.median_ms <= row.high_ms
    ('model.tflite', 60, True)
    """
    check_count("runs", runs, least=60)
    named = files if isinstance(files, Mapping) else {os.path.basename(path): path for path in files}
    if not named or len(named) != len(files):
        raise ValueError(
            f"The 'files' argument must hold at least one file, each under a name of its own. Got {files!r}. Pass a "
            "dict from names to paths."
        )
    loaded: dict[str, Runtime] = {}
    times: dict[str, list[list[float]]] = {name: [] for name in named}
    turns = math.ceil(runs / _CALLS)
    order = np.random.default_rng(0)
    with progress("Timing", turns) as advance:
        for _ in range(turns):
            for name in order.permutation(list(named)):
                # Loaded anew: where in memory a file and its tensors lie makes a difference of some percent.
                loaded[name] = prepared(load(named[name], runtime, num_threads), shapes)
                taken = [time_call(loaded[name].invoke) for _ in range(_WARMUP + _CALLS)]
                times[name].append(taken[_WARMUP:])
            advance(1)
    rows = tuple(_row(name, loaded[name], np.array(times[name])) for name in named)
    return BenchReport(loaded[rows[0].name].title, num_threads, rows)


def _row(name: str, runtime: Any, times: np.ndarray) -> BenchRow:
    """The figures of a file, from the times of shape (turns, calls)."""
    # Calls of one turn resemble each other; turns are what is drawn anew.
    medians = np.sort(np.median(times, axis=1))
    low, high = interval_of_median(medians)
    arena = getattr(runtime, "arena", None)
    return BenchRow(
        name=name,
        median_ms=float(np.median(medians)),
        low_ms=low,
        high_ms=high,
        p95_ms=float(np.percentile(times, 95)),
        runs=times.size,
        raw_bytes=len(runtime.file.content),
        memory_bytes=arena.total if arena else runtime.file.peak_activation_bytes,
    )


def interval_of_median(times: np.ndarray) -> tuple[float, float]:
    """The interval that holds the median of what sorted numbers were drawn from, with 95 %.

    By order statistics, which ask nothing of the distribution: how many of `n` numbers lie below the median is
    binomial, so the numbers of rank `n/2 -+ 0.98 sqrt(n)` enclose it (Conover 1999, Practical Nonparametric
    Statistics, section 3.2).

    Args:
        times: sorted numbers.

    >>> interval_of_median(np.arange(1.0, 101.0))
    (40.0, 61.0)
    """
    count = len(times)
    half = 0.98 * math.sqrt(count)
    low = max(math.floor(count / 2 - half) - 1, 0)
    high = min(math.ceil(count / 2 + half), count - 1)
    return float(times[low]), float(times[high])
