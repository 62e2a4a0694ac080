"""The work of `quantize` and of lowering for export grows in proportion to the number of layers."""

import sys
from collections import Counter

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tfopt.conversion._lower import lower


def residual(depth):
    x = inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 1)(x)
    for _ in range(depth):
        y = layers.BatchNormalization()(layers.Conv2D(4, 1, use_bias=False)(x))
        x = layers.ReLU()(layers.Add()([x, y]))
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


def calls(function):
    """Python calls by top package, tfopt's and Keras': the same in every run, as seconds are not."""
    found = Counter()

    def count(frame, event, argument):
        if event == "call":
            found.update({part for part in ("tfopt", "keras") if f"/{part}/" in frame.f_code.co_filename})

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{}, {"equalize": True, "correct_bias": True, "rounding": "gptq"}],
)
def test_calls_grow_linearly(options):
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 3)).astype("float32")
    lower(tfopt.quantize(residual(1), x, **options), 1)  # what happens once a process
    found = []
    for depth in (3, 6, 12):
        model = residual(depth)
        found.append(calls(lambda model=model: lower(tfopt.quantize(model, x, **options), 1)))
    three, six, twelve = found
    for part in ("tfopt", "keras"):
        assert three[part] > 1000
        # A quadratic part would add three times as much from 6 to 12 layers as from 3 to 6 in place of twice.
        assert twelve[part] - six[part] == pytest.approx(2 * (six[part] - three[part]), rel=0.1)
