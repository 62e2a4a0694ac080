"""Settings that do not fit say what was expected, what came, and the way out."""

import keras
import pytest
from keras import layers

import tfopt
from tests.models import samples_for
from tfopt import QuantConfig


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        (
            {"weight_bits": 9},
            ValueError,
            "'weight_bits' argument of QuantConfig must be an integer from 1 to 8",
        ),
        ({"activation_bits": 4}, ValueError, "'activation_bits' argument of QuantConfig must be 8 or 16"),
        (
            {"granularity": "group"},
            ValueError,
            "'granularity' argument of QuantConfig must be 'channel' or 'tensor'",
        ),
        ({"ternary": True}, ValueError, "'ternary' argument.*pass weight_bits=2 with it"),
        (
            {"ranges": tfopt.Ranges(observer="lsq"), "power_of_two": True},
            ValueError,
            "a learned step is no power of two",
        ),
        ({"target": "dsp"}, ValueError, "'target' argument of QuantConfig must be one of 'litert'"),
        ({"delay": -1}, ValueError, "'delay' argument of QuantConfig must be a number of steps"),
        ({"overrides": ["stem"]}, TypeError, "'overrides' argument of QuantConfig must be a dict"),
        (
            {"overrides": {3: None}},
            TypeError,
            "must have regular expressions or functions from layer to bool",
        ),
        ({"overrides": {"(": None}}, ValueError, r"must have regular expressions for keys. Got '\('"),
        ({"overrides": {"a": {"delay": 16}}}, ValueError, "or None to leave the layer float"),
        ({"overrides": {"a": {"weight_bits": 0}}}, ValueError, "'weight_bits' argument"),
    ],
)
def test_bad_settings_teach(arguments, error, words):
    with pytest.raises(error, match=words):
        QuantConfig(**arguments)


@pytest.mark.parametrize(
    "target, settings, words",
    [
        ("tpu", {}, "must be one of 'litert', 'google-tensor', 'tflm', 'ethos-u', 'edgetpu'. Got 'tpu'"),
        (
            "edgetpu",
            {"activation_bits": 16},
            "'activation_bits' argument must be 8 for target 'edgetpu'. Got 16",
        ),
        ("tflm", {"pack_weights": True}, "'pack_weights' argument must be False for target 'tflm'"),
    ],
)
def test_bad_targets_teach(target, settings, words):
    with pytest.raises(ValueError, match=words):
        QuantConfig.for_target(target, **settings)


def test_an_override_that_fits_no_layer_teaches():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2, name="head")(layers.Dense(3, name="neck")(inputs)))
    with pytest.raises(
        ValueError,
        match=r"names 'hed', which no layer with weights fits.*neck, head",
    ):
        tfopt.quantize(model, samples_for(model, 4), QuantConfig(overrides={"hed": None}))


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"observer": "max"}, "'observer' argument of Ranges must be one of 'moving_average', 'lsq', 'pact'"),
        ({"clip_l2": -1.0}, "'clip_l2' argument of Ranges must be 0 or more"),
        ({"freeze_step": -1}, "'freeze_step' argument of Ranges must be None or a number of steps"),
    ],
)
def test_bad_ranges_teach(arguments, words):
    with pytest.raises(ValueError, match=words):
        tfopt.Ranges(**arguments)
