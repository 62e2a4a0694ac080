"""What is done inside the scope of a strategy comes out as without one: a row for each tool that reads data."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt
from tests.strategies import two_devices

X = np.random.default_rng(0).normal(size=(70, 4)).astype("float32")


def _ranges(model: keras.Model, method: str) -> list[np.ndarray]:
    q = tfopt.quantize(model, X, tfopt.QuantConfig(ranges=tfopt.Ranges(method=method)))
    return q.get_weights()


def _cached(model: keras.Model, folder: Path) -> list[np.ndarray]:
    tfopt.cache_teacher(model, X, folder / "cache", verbose=0)
    files = sorted((folder / "cache").glob("*.npy"))
    assert files
    return [np.load(file) for file in files]


def _exported(model: keras.Model, folder: Path) -> list[np.ndarray]:
    q = tfopt.quantize(model, X)
    tfopt.export(q, folder / "q.tflite")
    assert tfopt.verify(q, folder / "q.tflite", X).passed
    return [np.frombuffer((folder / "q.tflite").read_bytes(), "uint8")]


def _learned(model: keras.Model, folder: Path) -> list[np.ndarray]:
    # Its weights include scalars, which NumPy does not read from a mirrored variable.
    config = tfopt.QuantConfig(ranges=tfopt.Ranges(observer="lsq", freeze_step=2))
    q = tfopt.quantize(model, X, config)
    tfopt.export(q, folder / "q.tflite")
    return [*q.get_weights(), np.frombuffer((folder / "q.tflite").read_bytes(), "uint8")]


def _shrunk(model: keras.Model, folder: Path) -> list[np.ndarray]:
    return tfopt.shrink(model, channels=0.5, data=X).get_weights()


def _statistics(model: keras.Model, folder: Path) -> list[np.ndarray]:
    model = keras.Sequential([keras.Input((4,)), *model.layers, keras.layers.BatchNormalization()])
    assert tfopt.update_batch_norm(model, X) == 1
    return model.get_weights()


TOOLS: dict[str, Callable[[keras.Model, Path], list[np.ndarray]]] = {
    **{
        f"quantize, {method}": lambda model, folder, method=method: _ranges(model, method)
        for method in ("minmax", "mse", "percentile", "kl")
    },
    "quantize, learned": _learned,
    "quantize, rounding": lambda model, folder: tfopt.quantize(
        model, X, rounding="gptq", correct_bias=True
    ).get_weights(),
    "cache_teacher": _cached,
    "export and verify": _exported,
    "shrink": _shrunk,
    "update_batch_norm": _statistics,
}


def _network() -> keras.Model:
    keras.utils.set_random_seed(0)
    dense = [keras.layers.Dense(8, activation="relu", name="hidden"), keras.layers.Dense(3, name="logits")]
    return keras.Sequential([keras.Input((4,), name="x"), *dense], name="net")


# One of each mechanism by default.
ROWS = [
    pytest.param(
        tool, marks=[] if tool in ("quantize, kl", "cache_teacher", "export and verify") else pytest.mark.slow
    )
    for tool in TOOLS
]


@pytest.mark.parametrize("tool", ROWS)
def test_a_scope_changes_nothing(tool: str, tmp_path: Path) -> None:
    found = []
    for strategy in (None, two_devices()):
        folder = tmp_path / str(len(found))
        folder.mkdir()
        keras.backend.clear_session()
        if strategy is None:
            found.append(TOOLS[tool](_network(), folder))
        else:
            with strategy.scope():
                found.append(TOOLS[tool](_network(), folder))
    for outside, inside in zip(*found, strict=True):
        np.testing.assert_array_equal(inside, outside)
