"""What computes in 16 bits within an int8 file: its borders, samples without variance, and training through it."""

import keras
import numpy as np
import pytest

import tfopt
from tests.models import trained_like
from tfopt.quantization import FakeQuantize
from tfopt.runtimes import TFLiteFile

# Samples of a batch, as multiples of the first: the last are constant, and as good as constant.
SIZES = np.array([1.0, 4.0, 0.25, 0.03, 0.0, 1e-6], "float32")


def network() -> tuple[keras.Model, np.ndarray]:
    inputs = keras.Input((6, 24))
    x = keras.layers.LayerNormalization(epsilon=1e-6, name="norm")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(4)(x))
    rng = np.random.default_rng(0)
    return trained_like(model), rng.normal(size=(64, 6, 24)).astype("float32") * SIZES[:, None]


@pytest.mark.parametrize("target", ["litert", pytest.param("tflm", marks=pytest.mark.slow)])
def test_samples_without_variance(target, tmp_path):
    """They ask for a reciprocal root of 1000, beside which those of the others would be a few codes."""
    model, x = network()
    q = tfopt.quantize(model, x, tfopt.QuantConfig.for_target(target, strict=True))
    exported = tfopt.export(q, tmp_path / "model.tflite", strict=True)
    assert (exported.inputs, exported.outputs) == (("int8",), ("int8",))
    verified = tfopt.verify(q, tmp_path / "model.tflite", x)
    assert verified.passed, str(verified)
    assert verified.outputs[0].equal == 1.0
    borders = [
        (op.inputs[0].dtype, op.outputs[0].dtype)
        for op in TFLiteFile.read(tmp_path / "model.tflite").operators
        if op.name == "QUANTIZE"
    ]
    assert borders == [("int8", "int16"), ("int16", "int8")]
    # Of what the file is given, in 8 bits, the first three sizes keep enough digits.
    given, _, *_ = (layer for layer in q.layers if isinstance(layer, FakeQuantize))
    expected = model.predict(np.asarray(given(x)), verbose=0)[:, :3]
    error = q.predict(x, verbose=0)[:, :3] - expected
    assert 10 * np.log10((expected**2).sum() / (error**2).sum()) > 32


def test_training_goes_through_them():
    model, x = network()
    q = tfopt.quantize(model, x)
    q.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=False)
    before = np.asarray(q.get_layer("norm_scale_shift").gamma)
    q.fit(x, np.zeros((64, 6, 4), "float32"), batch_size=16, epochs=1, verbose=0)
    assert all(np.isfinite(weight).all() for weight in q.get_weights())
    assert (np.asarray(q.get_layer("norm_scale_shift").gamma) != before).any()


def masked_by_hand(x, ids):
    """The ways in which people leave scores out: a table of windows or of what comes later, and padding."""
    later, ops = 1.0 - np.tri(6, dtype="float32"), keras.ops
    kept = ops.not_equal(ids, 0)
    row, number = ops.expand_dims(kept, 1), ops.expand_dims(ops.cast(kept, "float32"), 1)
    return [
        x - 100.0 * later,
        x + np.where(later > 0, np.float32(-np.inf), np.float32(0.0)),
        ops.where(later == 0, x, -1e9),
        ops.where(row, x, -1e9),
        ops.where(ops.logical_not(row), -1e4, x),
        x + (1.0 - number) * -1e9,
        x - 1e9 * (1.0 - number),
        keras.layers.Add()([((1.0 - ops.cast(kept, "float32")) * -1e4)[:, None, :], x]),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["litert", "tflm"])
def test_a_mask_applied_by_hand_costs_no_codes(target, tmp_path):
    """On a grid that reaches down to it, scores would be a few codes, or one."""
    scores, ids = keras.Input((6, 6), name="scores"), keras.Input((6,), dtype="int32", name="ids")
    model = keras.Model([scores, ids], [keras.ops.softmax(one) for one in masked_by_hand(scores, ids)])
    rng = np.random.default_rng(0)
    x = [
        rng.normal(size=(64, 6, 6)).astype("float32"),
        np.maximum(rng.integers(-1, 5, (64, 6)), [1, 0, 0, 0, 0, 0]).astype("int32"),
    ]
    q = tfopt.quantize(model, x, tfopt.QuantConfig.for_target(target), strict=True)
    for exact, found in zip(model.predict(x, verbose=0), q.predict(x, verbose=0), strict=True):
        np.testing.assert_allclose(found, exact, atol=0.01)
    tfopt.export(q, tmp_path / "model.tflite", strict=True)
    assert all(output.equal == 1.0 for output in tfopt.verify(q, tmp_path / "model.tflite", x).outputs)
