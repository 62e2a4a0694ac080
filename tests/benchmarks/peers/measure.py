"""What a file is worth, whoever made it: accuracy, bytes, latency, and how far it is from what was trained."""

import dataclasses
import functools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

import tfopt
from tfopt.compression import sizes

# Runtimes that a file must be faithful on: title -> name, and how many of the test samples they run; None: all.
RUNTIMES = {"LiteRT": ("xnnpack", None), "TFLite Micro": ("tflm", 200)}


@dataclasses.dataclass(frozen=True)
class Point:
    """One method of one contender on one task with one seed.

    Attributes:
        metric: percent of the test samples that the file gets right, or its mean squared error.
        faithful: by runtime, the share of the file's outputs that are those of the trained model, to half a step of
            255; of the float network where the method has no other model in Keras. Without those that cannot run it.
        drop: how much worse the file is than that model, in the metric's unit.
        costs: bytes of the file: raw, gzip, compressed for TFLite Micro, Vela's flash; by name, where they can be had.
            `latency` is added when all files of a task are timed together: milliseconds.
        result: what `run` wrote.
        error: why there is no file, in the contender's own words.
    """

    contender: str
    method: str
    seed: int
    path: Path
    result: dict[str, Any]
    metric: float | None = None
    faithful: dict[str, float] = dataclasses.field(default_factory=dict)
    drop: float | None = None
    costs: dict[str, float] = dataclasses.field(default_factory=dict)
    error: str = ""

    @property
    def name(self) -> str:
        """The contender and its method."""
        return f"{self.contender}: {self.method}"


def metric_of(outputs: np.ndarray, y: np.ndarray) -> float:
    """Percent correct, or the mean squared error."""
    if np.issubdtype(y.dtype, np.integer):
        return 100.0 * float(np.mean(np.argmax(outputs, axis=-1) == y))
    return float(np.mean((outputs - y) ** 2))


def read(contender: str, method: str, seed: int, folder: Path, task: Path) -> Point:
    """Measure what a method left in its folder."""
    if not (folder / "result.json").exists():
        return Point(contender, method, seed, folder, {}, error=last_words(folder))
    result = json.loads((folder / "result.json").read_text())
    path = folder / "model.tflite"
    if "error" in result:
        return Point(contender, method, seed, path, result, error=result["error"])
    if not (folder / "measured.json").exists():
        try:
            figures = _figures(path, folder, task)
        except ValueError as error:
            figures = {"error": str(error)}
        (folder / "measured.json").write_text(json.dumps(figures))
    return Point(contender, method, seed, path, result, **json.loads((folder / "measured.json").read_text()))


def _figures(path: Path, folder: Path, task: Path) -> dict[str, Any]:
    x_test, y_test = test_data(task)
    (outputs,) = tfopt.runtimes.run(path, x_test).values.values()
    expected = _expected(folder, task)
    better = 1 if np.issubdtype(y_test.dtype, np.integer) else -1
    metric = metric_of(outputs, y_test)
    return {
        "metric": metric,
        "faithful": _faithful(path, x_test, outputs, expected),
        "drop": better * (metric_of(expected, y_test) - metric),
        "costs": _bytes(path),
    }


@functools.cache
def test_data(task: Path) -> tuple[np.ndarray, np.ndarray]:
    """What accuracy is measured on."""
    with np.load(task / "data.npz") as data:
        return data["x_test"], data["y_test"]


@functools.cache
def float_outputs(task: Path) -> np.ndarray:
    """What the float network gives for the test inputs."""
    (outputs,) = tfopt.runtimes.run(task / "float.tflite", test_data(task)[0]).values.values()
    return outputs


def _expected(folder: Path, task: Path) -> np.ndarray:
    if not (folder / "trained.npz").exists():
        return float_outputs(task)
    with np.load(folder / "trained.npz") as trained:
        return trained["outputs"]


def _faithful(
    path: Path, x_test: np.ndarray, on_litert: np.ndarray, expected: np.ndarray
) -> dict[str, float]:
    step = np.ptp(on_litert) / 255
    found = {}
    for title, (runtime, samples) in RUNTIMES.items():
        outputs = on_litert
        if runtime != "xnnpack":
            try:
                (outputs,) = tfopt.runtimes.run(path, x_test[:samples], runtime).values.values()
            except tfopt.runtimes.CannotRunError:
                continue
        found[title] = share_equal(outputs, expected[: len(outputs)], step)
    return found


def share_equal(values: np.ndarray, expected: np.ndarray, step: float) -> float:
    """The share of values that are those expected, to half a step."""
    return float(np.mean(np.abs(values - expected) <= step / 2))


def _bytes(path: Path) -> dict[str, float]:
    (row,) = sizes(path).files
    found = {"raw": row.raw, "gzip": row.gzip, "compressed": row.compressed, "vela": row.vela}
    return {name: size for name, size in found.items() if size is not None}


def last_words(folder: Path) -> str:
    """Why a process left no result, as its log ends."""
    log = folder / "log.txt"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    said = [line for line in lines if re.match(r"\w+(Error|Exception)\b", line)] or lines[-1:]
    return said[-1][:200] if said else "it ended without a word"
