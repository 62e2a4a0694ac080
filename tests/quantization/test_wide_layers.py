"""Single layers with 16-bit activations in an 8-bit model: the file computes what the simulation does."""

import keras
import numpy as np
import pytest

import tfopt

LAYERS = keras.layers
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def net():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3), name="image")
    x = LAYERS.Conv2D(8, 3, padding="same", name="conv")(inputs)
    x = LAYERS.ReLU(name="relu")(LAYERS.BatchNormalization(name="norm")(x))
    y = LAYERS.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = LAYERS.Conv2D(8, 1, strides=2, activation="relu", name="pointwise")(LAYERS.Add(name="add")([x, y]))
    x = LAYERS.Dense(6, name="hidden")(LAYERS.Flatten(name="flatten")(x))
    model = keras.Model(inputs, LAYERS.Dense(4, activation="softmax", name="head")(x))
    return model, np.random.default_rng(0).normal(size=(60, 8, 8, 3)).astype("float32")


# Layers of 16 bits -> QUANTIZE operators in the file: one at each border, none between two such layers.
@pytest.mark.parametrize(
    "target, layers, borders",
    [
        ("litert", "conv$|depthwise", 3),
        ("tflm", "pointwise|hidden", 2),
        *(
            pytest.param(target, *row, marks=SLOW)
            for target in ("litert", "tflm")
            for row in [
                ("conv$", 2),
                ("depthwise", 2),
                ("add", 3),
                ("pointwise", 2),
                ("hidden|head", 2),
                ("conv$|depthwise|add|pointwise|hidden|head", 2),
            ]
        ),
    ],
)
def test_file_equals_simulation(net, tmp_path, target, layers, borders):
    model, x = net
    config = tfopt.QuantConfig.for_target(target, overrides={layers: {"activation_bits": 16}})
    q = tfopt.quantize(model, x, config)
    report = tfopt.export(q, tmp_path / "model.tflite")
    (parity,) = tfopt.verify(q, tmp_path / "model.tflite", x).outputs
    assert parity.equal == 1.0 and parity.name == "head" and parity.dtype == "int8"
    assert report.operators["QUANTIZE"] == borders and not report.float_operators
    wide = {row.path for row in q.report.layers if row.done == "int16"}
    assert wide
    assert all(any(name.strip("$") in path for name in layers.split("|")) for path in wide - {"relu"})


@SLOW
@pytest.mark.parametrize("target", ["litert", "tflm"])
def test_a_float_kernel_among_wide_layers(net, tmp_path, target):
    model, x = net
    overrides = {
        "depthwise": {"activation_bits": 16, "weight_bits": None},
        "conv|add": {"activation_bits": 16},
    }
    q = tfopt.quantize(model, x, tfopt.QuantConfig.for_target(target, overrides=overrides))
    report = tfopt.export(q, tmp_path / "model.tflite")
    (parity,) = tfopt.verify(q, tmp_path / "model.tflite", x).outputs
    assert parity.equal == 1.0 and report.float_operators == {"DEPTHWISE_CONV_2D": 1}


@SLOW
def test_what_lies_between_two_keeps_more():
    """A tensor with an outlier, which 8 bits cannot hold: its writer and its reader must both be wide."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6,))
    x = LAYERS.Dense(8, name="first")(inputs)
    model = keras.Model(inputs, LAYERS.Dense(3, name="second")(x))
    kernel, bias = model.get_layer("first").get_weights()
    bias[0] = 1000.0
    model.get_layer("first").set_weights([kernel, bias])
    head, _ = model.get_layer("second").get_weights()
    head[0] = 0.0
    model.get_layer("second").set_weights([head, np.zeros(3)])
    x = np.random.default_rng(0).normal(size=(60, 6)).astype("float32")
    exact, errors = model.predict(x, verbose=0), {}
    for layers in ("first", "second", "first|second"):
        q = tfopt.quantize(model, x, tfopt.QuantConfig(overrides={layers: {"activation_bits": 16}}))
        errors[layers] = np.abs(q.predict(x, verbose=0) - exact).max() / np.abs(exact).max()
    assert errors["first|second"] < 0.05 < 0.5 < min(errors["first"], errors["second"])


# Where the normalization stands -> QUANTIZE operators of a file with a stream of 8 bits, and of 16.
STREAMS = {"before the branch": (6, 6), "behind the sum": (4, 5)}


@pytest.mark.parametrize(
    "target, norm",
    [
        pytest.param("litert", "before the branch", marks=SLOW),
        *(pytest.param("tflm", norm, marks=SLOW) for norm in STREAMS),
        pytest.param("litert", "behind the sum", marks=SLOW),
    ],
)
def test_a_residual_stream(target, norm, tmp_path):
    """Its sums keep 16 bits, and normalizations read and write them as they are."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 8))
    x = LAYERS.Dense(8)(inputs)
    for _ in range(2):
        if norm == "before the branch":
            x = LAYERS.Add()([x, LAYERS.Dense(8)(LAYERS.LayerNormalization()(x))])
        else:
            x = LAYERS.LayerNormalization()(x + LAYERS.Dense(8)(x))
    x = LAYERS.LayerNormalization()(x) if norm == "before the branch" else x
    model = keras.Model(inputs, LAYERS.Dense(3)(x))
    x = np.random.default_rng(0).normal(size=(60, 6, 8)).astype("float32")
    for bits, borders in zip((8, 16), STREAMS[norm], strict=True):
        config = tfopt.QuantConfig.for_target(target, residual_bits=bits, strict=True)
        q = tfopt.quantize(model, x, config)
        report = tfopt.export(q, tmp_path / "model.tflite", strict=True)
        (parity,) = tfopt.verify(q, tmp_path / "model.tflite", x).outputs
        assert parity.equal == 1.0 and report.operators["QUANTIZE"] == borders
        wide = {row.path for row in q.report.layers if row.kind == "Add" and row.done == "int16"}
        assert len(wide) == (2 if bits == 16 else 0)


@pytest.mark.parametrize(
    "bits, value, message",
    [
        (8, 8, "activations of 16 bits in a model of 8, or say nothing of them. Got 8 in a model of 8"),
        (16, 16, "Got 16 in a model of 16"),
    ],
)
def test_errors(bits, value, message):
    with pytest.raises(ValueError, match=message):
        tfopt.QuantConfig(activation_bits=bits, overrides={"a": {"activation_bits": value}})
    with pytest.raises(
        ValueError, match=r"'residual_bits' argument of QuantConfig must be 8 for its target\. Got 16"
    ):
        tfopt.QuantConfig.for_target("edgetpu", residual_bits=16)
