"""How long a .tflite file takes for one call."""

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfopt.runtimes._codes import to_dtype
from tfopt.runtimes._registry import load
from tfopt.runtimes._runtime import Runtime


@dataclasses.dataclass(frozen=True)
class Latency:
    """Times of one call in milliseconds, over many calls.

    Args:
        median_ms: half of the calls were faster.
        p5_ms: 5 % of the calls were faster: the time on an idle machine.
        p95_ms: 95 % of the calls were faster: the time with disturbance by other processes.
        runs: number of calls timed.
        num_threads: threads used.

    Example:

    >>> Latency(median_ms=0.5, p5_ms=0.4, p95_ms=0.9, runs=50).median_ms
    0.5
    """

    median_ms: float
    p5_ms: float
    p95_ms: float
    runs: int
    num_threads: int = 1


def measure_latency(
    path: str | os.PathLike | bytes,
    runs: int = 50,
    warmup: int = 5,
    runtime: str = "xnnpack",
    num_threads: int = 1,
    shapes: Sequence[tuple[int, ...]] | None = None,
    own_time: bool = False,
) -> Latency:
    """Time of one call, on this machine, at the file's own batch size.

    Setting inputs and reading outputs is not counted. The inputs are random numbers of a fixed seed. Compare such
    figures only within one run on one machine: on a phone or microcontroller another file may be the fastest.

    Args:
        path: path or bytes of a .tflite file.
        runs: calls to time.
        warmup: calls before the first one that is timed.
        runtime: as for `run`. TFLite Micro's time here says little about a microcontroller.
        num_threads: threads that one operator may use.
        shapes: the shape of each input, for a file with open dimensions; these are 1 by default.
        own_time: whether to count the time that the processor spends on the call, with one thread, and not that in
            which it waits for other programs.

    Raises:
        ValueError: `runs` or `warmup` is out of range, the file is missing, or `runtime` is unknown.
        CannotRunError: the runtime cannot run the file.

    Example:

    >>> import keras, os, tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.ReLU()])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
    >>> model.export(path, format="litert", verbose=False)
    >>> latency = measure_latency(path, runs=20)
    >>> latency.runs, latency.p5_ms <= latency.median_ms <= latency.p95_ms
    (20, True)
    """
    check_count("runs", runs, least=1)
    check_count("warmup", warmup, least=0)
    loaded = prepared(load(path, runtime, num_threads), shapes)
    clock = time.thread_time_ns if own_time else time.perf_counter_ns
    return time_calls(loaded.invoke, runs, warmup, num_threads, clock)


def prepared(loaded: Runtime, shapes: Sequence[tuple[int, ...]] | None = None) -> Runtime:
    """A runtime whose inputs are set to random numbers of a fixed seed."""
    rng = np.random.default_rng(0)
    feeds = []
    for at, tensor in enumerate(loaded.file.inputs):
        shape = shapes[at] if shapes else tensor.shape
        # Plain integers get 0 and 1, because they may be indices into a table.
        integer = not tensor.is_float and not tensor.scales
        values = rng.integers(0, 2, shape) if integer else rng.uniform(0, 1, shape)
        feeds.append(to_dtype(values, tensor))
    loaded.set_inputs(feeds)
    return loaded


def time_calls(
    call: Callable[[], Any],
    runs: int,
    warmup: int,
    num_threads: int = 1,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Latency:
    """Times a function of no arguments, one call at a time."""
    for _ in range(warmup):
        call()
    times = [time_call(call, clock) for _ in range(runs)]
    p5, median, p95 = (float(p) for p in np.percentile(times, [5, 50, 95]))
    return Latency(median, p5, p95, runs, num_threads)


def time_call(call: Callable[[], Any], clock: Callable[[], int] = time.perf_counter_ns) -> float:
    """Milliseconds of one call, by a clock that counts nanoseconds."""
    start = clock()
    call()
    return (clock() - start) / 1e6


def check_count(argument: str, value: int, least: int) -> None:
    """Raises a ValueError that names the argument unless it is an integer of at least `least`."""
    if not isinstance(value, int) or value < least:
        raise ValueError(
            f"The '{argument}' argument must be an integer of at least {least}. Got {value!r} instead. "
            "50 runs after 5 warm-up calls are the defaults."
        )
