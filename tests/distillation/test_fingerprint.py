"""Fingerprints of samples and teachers."""

import keras
import numpy as np
import pytest
from keras import layers

from tfopt.distillation.teachers._fingerprint import hash_samples, hash_teacher


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float64", "bool"])
def test_fingerprints(dtype):
    x = np.random.default_rng(0).integers(0, 100, (50, 3, 2)).astype(dtype)
    hashes = hash_samples(x)
    if dtype != "bool":
        assert len(set(hashes.tolist())) == 50
    np.testing.assert_array_equal(hash_samples(x[::-1]), hashes[::-1])
    np.testing.assert_array_equal(hash_samples(np.asfortranarray(x)), hashes)
    if dtype.startswith("float"):
        np.testing.assert_array_equal(hash_samples(x.astype("float32")), hashes)
    other = x.copy()
    other[7, 0, 0] = not other[7, 0, 0] if dtype == "bool" else other[7, 0, 0] + 1
    assert np.flatnonzero(hash_samples(other) != hashes).tolist() == [7]


def test_the_fingerprint_of_a_teacher_sees_settings_and_not_names():
    def made(activation, name):
        return keras.Sequential([keras.Input((4,)), layers.Dense(3, activation, name=name)])

    one, renamed, other = made("relu", "a"), made("relu", "b"), made("tanh", "a")
    for model in (renamed, other):
        model.set_weights(one.get_weights())
    assert hash_teacher([one]) == hash_teacher([renamed]) != hash_teacher([other])
