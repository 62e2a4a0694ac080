"""Fixtures that every test may use: fixed seeds, and networks small enough to train in seconds."""

import os

# why: two logical CPU devices let MirroredStrategy run in the tests; TensorFlow reads this before its first op.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(autouse=True, scope="session")
def session_seed() -> None:
    """What fixtures of the whole session make is the same in every run."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def module_seed() -> None:
    """What a module's fixtures make does not depend on the tests that ran before it."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def seed() -> None:
    """Every test starts from the same random state."""
    keras.utils.set_random_seed(0)


@pytest.fixture
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """256 tiny images (8, 8, 1) in four classes that a small network learns in a few epochs."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 256)
    centers = rng.normal(size=(4, 8, 8, 1))
    x = centers[y] + 0.5 * rng.normal(size=(256, 8, 8, 1))
    return x.astype("float32"), y.astype("int32")
