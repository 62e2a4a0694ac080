"""Post-training quality: equalization keeps the function, corrections lower the errors, and export stays the same."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import tfopt
from tests.models import MODELS, samples_for, trained_like
from tfopt.graph import einsum_axes
from tfopt.quantization.post_training._kernel_matrix import KINDS, from_matrix, input_rows, to_matrix
from tfopt.quantization.post_training._layerwise import visit_layers
from tfopt.quantization.post_training._learned_rounding import METHODS, output_error
from tfopt.quantization.post_training._post_training import ROUNDINGS
from tfopt.quantization.simulation import QuantizedLSTM

CONVOLUTIONS = {
    "Dense": (dict(units=5), (6,)),
    "EinsumDense": (dict(equation="abcd,cde->abe", output_shape=(None, 5)), (9, 4, 3)),
    "Conv1D": (dict(filters=4, kernel_size=3), (9, 4)),
    "Conv2D": (dict(filters=4, kernel_size=(3, 2)), (9, 8, 4)),
    "DepthwiseConv1D": (dict(kernel_size=3, depth_multiplier=2), (9, 4)),
    "DepthwiseConv2D": (dict(kernel_size=(3, 3), depth_multiplier=2), (9, 8, 4)),
}
PLACES = {
    "plain": {},
    "same": {"padding": "same"},
    "strided": {"padding": "same", "strides": 2},
    "dilated": {"dilation_rate": 2},
    "causal": {"padding": "causal"},
    "grouped": {"groups": 2},
    "heads": {"equation": "abcd,def->abcef", "output_shape": (None, 4, 2, 5)},
    "kernel turned": {"equation": "abcd,edc->abe"},
    "outputs turned": {"equation": "abcd,cfde->aebf", "output_shape": (5, None, 2)},
}


# Where a place makes sense for some layers only.
ONLY = {
    "same": ("Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D"),
    "strided": ("Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D"),
    "dilated": ("Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D"),
    "causal": ("Conv1D",),
    "grouped": ("Conv1D", "Conv2D"),
    "heads": ("EinsumDense",),
    "kernel turned": ("EinsumDense",),
    "outputs turned": ("EinsumDense",),
}


@pytest.mark.parametrize("kind, place", [(k, p) for p in PLACES for k in ONLY.get(p, CONVOLUTIONS)])
def test_a_layer_is_the_product_of_its_rows_and_its_matrix(kind, place):
    arguments, shape = CONVOLUTIONS[kind]
    layer = getattr(layers, kind)(**(arguments | PLACES[place]))
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype("float32")
    expected = np.asarray(layer(x))
    kernel = np.asarray(layer.kernel)
    matrix = to_matrix(layer, kernel)
    np.testing.assert_array_equal(from_matrix(layer, matrix), kernel)
    rows = input_rows(layer, x, 10**6, np.random.default_rng(0))
    outputs = np.matmul(rows, matrix).transpose(1, 0, 2)
    if kind == "EinsumDense":
        expected = expected.transpose(np.argsort(einsum_axes(layer).outputs))
    np.testing.assert_allclose(outputs.reshape(expected.shape), expected, atol=1e-5)
    some = input_rows(layer, x, 2, np.random.default_rng(0))
    assert some.shape == (rows.shape[0], 2, rows.shape[2])
    assert set(CONVOLUTIONS) == set(KINDS)


@settings(max_examples=20, deadline=None)
@given(
    method=st.sampled_from(sorted(METHODS)),
    bits=st.sampled_from([3, 4, 8]),
    groups=st.integers(1, 3),
    inputs=st.integers(1, 24),
    outputs=st.integers(1, 6),
    rank=st.integers(1, 40),
    seed=st.integers(0, 999),
)
def test_rounding_keeps_what_must_stay(method, bits, groups, inputs, outputs, rank, seed):
    rng = np.random.default_rng(seed)
    top = 2 ** (bits - 1) - 1
    weight = rng.normal(size=(groups, inputs, outputs))
    weight[rng.random(weight.shape) < 0.2] = 0.0
    weight *= top / np.maximum(np.abs(weight).max(axis=1, keepdims=True), 1e-9)
    rows = rng.normal(size=(groups, rank, inputs)) + 1.0
    kept = (weight == 0) | (np.abs(weight) > top - 1e-3)
    codes = METHODS[method](weight, rows.transpose(0, 2, 1) @ rows / rank, kept, top)
    np.testing.assert_array_equal(codes, np.round(codes))
    np.testing.assert_array_equal(codes[kept], np.round(weight[kept]))
    assert np.abs(codes).max() <= top


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("method", METHODS)
def test_rounding_lowers_the_output_error(method, bits):
    """On inputs as networks have them: correlated, and with a mean. Of most kernels, and of all together."""
    top = 2 ** (bits - 1) - 1
    ratios = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        inputs, outputs = rng.integers(16, 41), rng.integers(8, 17)
        weight = rng.normal(size=(1, inputs, outputs))
        weight *= top / np.abs(weight).max(axis=1, keepdims=True)
        rows = np.maximum(rng.normal(size=(400, inputs)) @ rng.normal(size=(inputs, inputs)), 0.0)
        gram = (rows.T @ rows / len(rows))[None]
        codes = METHODS[method](weight, gram, np.abs(weight) > top - 1e-3, top)
        nearest = output_error(np.round(weight), weight, gram).sum()
        ratios.append(output_error(codes, weight, gram).sum() / nearest)
    assert np.mean(ratios) < 0.7 and np.median(ratios) < 0.7 and max(ratios) < 1.0, ratios


def tiny():
    model = trained_like(MODELS["residual"]())
    rng = np.random.default_rng(2)
    x = np.maximum(samples_for(model, 96), 0.0) + rng.uniform(0, 1, 3).astype("float32")
    return model, x


@pytest.mark.slow
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_kernels_stay_where_they_were_put(rounding, tmp_path):
    """The step does not move: what rounds a kernel again finds the same codes; the file equals the simulation."""
    model, x = tiny()
    q = tfopt.quantize(model, x, equalize=True, rounding=rounding, correct_bias=True)
    if rounding != "nearest":
        rounded = [layer for layer in q.layers if hasattr(layer, "quantize_weight")]
        assert len(rounded) == 3
        for layer in rounded:
            kernel = np.asarray(layer.kernel)
            np.testing.assert_allclose(layer.quantize_weight(kernel), kernel, rtol=1e-6, atol=0)
    tfopt.export(q, tmp_path / "model.tflite", strict=True)
    verified = tfopt.verify(q, tmp_path / "model.tflite", x)
    assert verified.passed, str(verified)
    assert any(rounding in row.note or rounding == "nearest" for row in q.report.layers)
    q.save(tmp_path / "q.keras")
    loaded = keras.models.load_model(tmp_path / "q.keras")
    np.testing.assert_array_equal(loaded(x[:4]), q(x[:4]))
    assert str(loaded.report) == str(q.report)


def bias_errors(model, q, x):
    return np.abs(np.mean(np.asarray(q(x)) - np.asarray(model(x)), axis=0))


# Forms of a layer whose bias is corrected: 16 or 24 numbers to 24.
BLOCKS = {
    "bias": lambda: [layers.Dense(24), layers.BatchNormalization(), layers.ReLU()],
    "norm": lambda: [layers.Dense(24, use_bias=False), layers.BatchNormalization(), layers.ReLU()],
    "PReLU": lambda: [layers.Dense(24), layers.PReLU()],
    "heads": lambda: [
        layers.EinsumDense("ab,bcd->acd", output_shape=(4, 6), bias_axes="cd"),
        layers.ReLU(),
        layers.Reshape((24,)),
    ],
    "bias of one axis": lambda: [
        layers.EinsumDense("ab,bcd->acd", output_shape=(2, 12), bias_axes="c"),
        layers.ReLU(),
        layers.Reshape((24,)),
    ],
}


@pytest.mark.parametrize("block", BLOCKS)
def test_bias_correction_lowers_the_mean_error(block):
    rng = np.random.default_rng(0)
    blocks = [layer for _ in range(3) for layer in BLOCKS[block]()]
    model = keras.Sequential([keras.Input((16,)), *blocks, layers.Dense(4)])
    model = trained_like(model)
    x = rng.normal(1.0, 1.0, (400, 16)).astype("float32")
    # Two outliers in each kernel make its grid coarse.
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            kernel = np.asarray(layer.kernel).copy()
            kernel[0] *= 8.0
            layer.kernel.assign(kernel)
    plain, corrected = tfopt.quantize(model, x), tfopt.quantize(model, x, correct_bias=True)
    assert bias_errors(model, corrected, x).sum() < 0.3 * bias_errors(model, plain, x).sum()
    for layer, other in zip(plain.layers, corrected.layers, strict=True):
        if hasattr(layer, "kernel"):
            np.testing.assert_array_equal(layer.kernel, other.kernel)


def test_what_has_no_bias_is_named():
    inputs = keras.Input((4,))
    shared = layers.Dense(4, name="shared")
    x = layers.ReLU()(shared(layers.ReLU()(shared(inputs))))
    model = keras.Model(inputs, layers.Dense(2, use_bias=False, name="bare")(x))
    report = tfopt.quantize(model, samples_for(model), correct_bias=True).report
    notes = {row.path: row.note for row in report.layers}
    assert "bias not corrected: it has none" in notes["bare"]
    assert "bias not corrected: it is called more than once" in notes["shared"]


@pytest.mark.slow
def test_an_lstm_gains():
    """Both kernels are rounded together, to codes that a second rounding keeps; the bias takes what is left."""
    model = trained_like(keras.Sequential([keras.Input((4, 6)), layers.LSTM(8)]))
    rng = np.random.default_rng(0)
    mixed = rng.uniform(0.0, 1.0, (2, 6))
    x, held = ((rng.uniform(0.0, 2.0, (200, 4, 2)) @ mixed).astype("float32") for _ in range(2))
    errors = {}
    for way in ({}, {"correct_bias": True}, {"rounding": "gptq"}):
        q = tfopt.quantize(model, x, tfopt.QuantConfig(weight_bits=4), **way)
        errors[str(way)] = np.square(np.asarray(q(held)) - np.asarray(model(held))).mean()
    plain, corrected, rounded = errors.values()
    assert corrected < 0.7 * plain and rounded < 0.7 * corrected, errors
    (layer,) = [layer for layer in q.layers if isinstance(layer, QuantizedLSTM)]
    np.testing.assert_allclose(*layer.weights_and_rounded(), rtol=1e-6, atol=0)
    assert any("gptq" in row.note for row in q.report.layers)


def test_a_sign_has_no_other_code():
    q = tfopt.quantize(*tiny(), tfopt.QuantConfig(weight_bits=1), rounding="adaround")
    assert all("1 bit has no other code" in row.note for row in q.report.layers if row.weights)
    assert all((np.asarray(layer.kernel) != 0).any() for layer in q.layers if hasattr(layer, "kernel"))


def test_pruned_weights_stay_zero():
    model, x = tiny()
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            kernel = np.asarray(layer.kernel).copy()
            layer.kernel.assign(np.where(np.abs(kernel) < np.median(np.abs(kernel)), 0.0, kernel))
    q = tfopt.quantize(model, x, rounding="gptq")
    for layer in q.layers:
        if hasattr(layer, "kernel"):
            assert (np.asarray(layer.kernel) == 0).mean() >= 0.45


@pytest.mark.slow
@pytest.mark.parametrize("form", ["generator", "pairs"])
def test_samples_of_every_kind(form):
    model, x = tiny()
    data = {"generator": (x[at : at + 32] for at in (0, 32, 64)), "pairs": (x, np.zeros(len(x)))}[form]
    ours = tfopt.quantize(model, data, correct_bias=True)
    same = tfopt.quantize(model, x, correct_bias=True)
    np.testing.assert_allclose(ours(x[:8]), same(x[:8]), atol=1e-5)


def test_each_operation_runs_once_a_network():
    """Time is linear in the number of layers: no layer starts again from the inputs."""
    model, x = tiny()
    q = tfopt.quantize(model, x)
    seen = []
    visit_layers(q, x, lambda visit: seen.append(visit.node.op.name))
    kernels = [layer.name for layer in q.layers if hasattr(layer, "quantize_weight")]
    assert sorted(seen) == sorted(kernels)


@pytest.mark.parametrize("wrong", ["up", None, 4])
def test_bad_rounding_teaches(wrong):
    model, x = tiny()
    with pytest.raises(ValueError, match=rf"'rounding' argument must be one of 'nearest', .*Got {wrong!r}"):
        tfopt.quantize(model, x, rounding=wrong)
