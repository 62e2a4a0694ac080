"""What a file is worth, whoever made it: accuracy, bytes, latency, and how far it is from what was trained."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

import tfopt
from tfopt.compression import sizes


@dataclasses.dataclass(frozen=True)
class Point:
    """One method of one contender on one task with one seed.

    Attributes:
        metric: percent of the test samples that the file gets right, or its mean squared error.
        faithful: the share of the file's outputs that are those of the trained model, to half a step of 255; None
            where there is no trained model.
        drop: how much worse the file is than the trained model, in the metric's unit.
        bytes: of the file: raw, gzip, compressed for TFLite Micro, Vela's flash; by name, where they can be had.
        result: what `run` wrote.
        error: why there is no file, in the contender's own words.
    """

    contender: str
    method: str
    seed: int
    path: Path
    result: dict[str, Any]
    metric: float | None = None
    faithful: float | None = None
    drop: float | None = None
    bytes: dict[str, int] = dataclasses.field(default_factory=dict)
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
        return Point(contender, method, seed, folder, {}, error=_last_words(folder))
    result = json.loads((folder / "result.json").read_text())
    path = folder / "model.tflite"
    if "error" in result:
        return Point(contender, method, seed, path, result, error=result["error"])
    with np.load(task / "data.npz") as data:
        x_test, y_test = data["x_test"], data["y_test"]
    try:
        (outputs,) = tfopt.runtimes.run(path, x_test).values.values()
    except ValueError as error:
        return Point(contender, method, seed, path, result, error=str(error))
    figures: dict[str, Any] = {"metric": metric_of(outputs, y_test), "bytes": _bytes(path)}
    if (folder / "trained.npz").exists():
        with np.load(folder / "trained.npz") as trained:
            expected = trained["outputs"]
        step = np.ptp(outputs) / 255
        figures["faithful"] = float(np.mean(np.abs(outputs - expected) <= step / 2))
        better = 1 if np.issubdtype(y_test.dtype, np.integer) else -1
        figures["drop"] = better * (metric_of(expected, y_test) - figures["metric"])
    return Point(contender, method, seed, path, result, **figures)


def _bytes(path: Path) -> dict[str, int]:
    (row,) = sizes(path).files
    found = {"raw": row.raw, "gzip": row.gzip, "compressed": row.compressed, "vela": row.vela}
    return {name: size for name, size in found.items() if size is not None}


def _last_words(folder: Path) -> str:
    log = folder / "log.txt"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    said = [line for line in lines if re.match(r"\w+(Error|Exception)\b", line)] or lines[-1:]
    return said[-1][:200] if said else "it ended without a word"
