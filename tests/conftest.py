"""Fixtures that tests may use: networks small enough to train in seconds."""

import numpy as np
import pytest
import tensorflow as tf

# Two logical CPU devices let MirroredStrategy run in the tests; TensorFlow reads this before its first op.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """256 tiny images (8, 8, 1) in four classes that a small network learns in a few epochs."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 256)
    centers = rng.normal(size=(4, 8, 8, 1))
    x = centers[y] + 0.5 * rng.normal(size=(256, 8, 8, 1))
    return x.astype("float32"), y.astype("int32")
