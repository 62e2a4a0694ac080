"""Samples in four classes, and a network that tells them."""

import keras
import numpy as np
import pytest

from tests.pipeline.net import net


@pytest.fixture(scope="module")
def samples():
    """Images in four classes that the size of their values tells."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 120)
    x = (y[:, None, None, None] + rng.normal(size=(120, 8, 8, 1))).astype("float32")
    return x, y.astype("int32")


@pytest.fixture(scope="module")
def classifier(samples):
    keras.utils.set_random_seed(0)
    model = net(4, "softmax")
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*samples, epochs=4, verbose=0)
    return model
