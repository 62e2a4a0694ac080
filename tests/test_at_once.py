"""Two threads, and two processes, that do the same at once: each result is what one alone gives."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import tfopt
from tests.program import run_tfopt

pytestmark = pytest.mark.slow
X = np.random.default_rng(0).normal(size=(32, 6, 6, 2)).astype("float32")


def _net() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 2), name="image")
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    scores = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(x))
    return keras.Model(inputs, scores, name="net")


def _together(*works: Callable[[], Any]) -> list[Any]:
    barrier = threading.Barrier(len(works))

    def work(one: Callable[[], Any]) -> Any:
        barrier.wait()
        return one()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(work, works))


def _terminal() -> list[tuple[int, int]]:
    return [(os.fstat(number).st_dev, os.fstat(number).st_ino) for number in (1, 2)]


def test_two_threads(tmp_path: Path) -> None:
    """That quantize one model, and export to files of their own and to one."""
    net, before = _net(), _terminal()
    alone = tfopt.quantize(net, X)
    tfopt.export(alone, tmp_path / "alone.tflite")
    wanted = (tmp_path / "alone.tflite").read_bytes()

    def work(name: str) -> bytes:
        quantized = tfopt.quantize(net, X)
        tfopt.export(quantized, tmp_path / "one.tflite")
        tfopt.export(alone, tmp_path / name)
        assert tfopt.verify(quantized, tmp_path / "one.tflite", X).passed
        return (tmp_path / name).read_bytes()

    assert _together(lambda: work("first.tflite"), lambda: work("second.tflite")) == [wanted, wanted]
    assert (tmp_path / "one.tflite").read_bytes() == wanted
    assert _terminal() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_two_processes(tmp_path: Path) -> None:
    """That export, quantize and compress to one place."""
    net, data = tmp_path / "net.keras", tmp_path / "d.npz"
    _net().save(net)
    np.savez(data, x=X, y=np.arange(32) % 3)
    tfopt.quantize(_net(), X).save(tmp_path / "q.keras")
    for given, name in [
        (("export", tmp_path / "q.keras", tmp_path / "e.tflite"), "e.tflite"),
        (("quantize", net, tmp_path / "q.tflite", "--data", data), "q.tflite"),
    ]:
        assert run_tfopt(*given).returncode == 0
        wanted = (tmp_path / name).read_bytes()
        both = _together(lambda: run_tfopt(*given), lambda: run_tfopt(*given))  # noqa: B023  before the next row
        assert [one.returncode for one in both] == [0, 0], both
        assert (tmp_path / name).read_bytes() == wanted
    given = ("compress", "--model", net, "--data", data, "--output_dir", tmp_path / "out", "--overwrite")
    both = _together(lambda: run_tfopt(*given), lambda: run_tfopt(*given))
    assert 0 in [one.returncode for one in both], both
    for one in both:
        assert one.returncode == 0 or "Another process writes to" in one.stderr, one
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
