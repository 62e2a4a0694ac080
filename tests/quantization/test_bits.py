"""Bits and grids: what weights and activations are rounded to, layer by layer, and what the file holds of it."""

import json

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import tfopt
from tests.models import samples_for, trained_like
from tfopt import QuantConfig
from tfopt.kernels._range_shapes import restrict_range
from tfopt.kernels._weight_grids import WeightGrid
from tfopt.runtimes import TFLiteFile

# Name -> settings that change the grids; each row is trained, saved, exported and verified.
GRIDS = {
    "int8": {},
    "int4": {"weight_bits": 4},
    "int4 unpacked": {"weight_bits": 4, "pack_weights": False},
    "ternary": {"weight_bits": 2, "ternary": True},
    "binary": {"weight_bits": 1},
    "per tensor": {"granularity": "tensor"},
    "int4 per tensor": {"weight_bits": 4, "granularity": "tensor", "pack_weights": False},
    "power of two": {"power_of_two": True},
    "symmetric": {"symmetric": True},
    "int16": {"activation_bits": 16},
    "int16 with int4": {"activation_bits": 16, "weight_bits": 4},
    "some float": {"weight_bits": 4, "overrides": {"stem$": {"weight_bits": 8}, "up|head": None}},
}


def network():
    """A layer of each kind of kernel, one with a batch norm behind, one behind one of two calls, one of odd inputs."""
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(6, 3, use_bias=False, name="stem")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    twice = layers.Conv2D(6, 3, padding="same", name="twice")
    x = layers.ReLU()(twice(layers.ReLU()(layers.BatchNormalization()(twice(x)))))
    x = layers.DepthwiseConv2D(3, activation="relu", name="depthwise")(x)
    x = layers.Conv2DTranspose(4, 2, name="up")(x)
    x = layers.EinsumDense("abcd,def->abcef", (3, 3, 2, 3), bias_axes="ef", name="projection")(x)
    x = layers.Dense(7, name="neck")(layers.Flatten()(x))
    return trained_like(keras.Model(inputs, layers.Dense(5, name="head")(x)))


def slow_but(names, quick):
    """The names, those that are not quick marked slow."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.fixture(scope="module", params=slow_but(GRIDS, ("int4", "int16", "some float")))
def row(request, tmp_path_factory):
    """Settings, the quantized model after a step of training, its file and the export's report."""
    model = network()
    x = samples_for(model, 48)
    q = tfopt.quantize(model, x, QuantConfig(**GRIDS[request.param]))
    q.compile("sgd", "mse", jit_compile=False)
    q.fit(x, np.zeros((48, 5)), batch_size=24, verbose=0)
    path = tmp_path_factory.mktemp("bits") / "model.tflite"
    return request.param, GRIDS[request.param], q, x, path, tfopt.export(q, path)


def test_the_file_computes_what_was_trained(row):
    _, setting, q, x, path, _ = row
    # Sums of 16-bit codes exceed float32: a few are a step off.
    wide = setting.get("activation_bits") == 16
    report = tfopt.verify(q, path, x, tolerance=2 if wide else 1)
    assert report.passed, str(report)
    assert all(output.equal >= (0.97 if wide else 0.99) for output in report.outputs), str(report)


@pytest.mark.parametrize("channels", [3, 12])
def test_packed_depthwise_kernels_round_in_groups_of_8_channels(channels, tmp_path):
    inputs = keras.Input((9, 9, channels))
    model = trained_like(keras.Model(inputs, layers.DepthwiseConv2D(3)(inputs)))
    x = samples_for(model, 48)
    q = tfopt.quantize(model, x, QuantConfig(weight_bits=4))
    tfopt.export(q, tmp_path / "model.tflite")
    (output,) = tfopt.verify(q, tmp_path / "model.tflite", x).outputs
    assert output.equal == 1.0, output


def test_the_file_holds_the_trained_values(row):
    """Codes times steps are the rounded weights to float rounding, whatever the storage."""
    _, _, q, _, path, exported = row
    trained = [
        np.asarray(layer.weights_and_rounded()[1]) for layer in q.layers if hasattr(layer, "weight_codes")
    ]
    # `stem` and a call of `twice` have a batch norm folded in.
    plain = {array.size: array for array in trained if array.shape[:2] != (3, 3) or array.shape[3] == 1}
    kernels = [kernel for kernel in TFLiteFile.read(path).kernels if kernel.size in plain and kernel.scales]
    assert len(kernels) == len(plain)
    for kernel in kernels:
        steps = np.expand_dims(kernel.scales, [at for at in range(kernel.data.ndim) if at != kernel.axis])
        values = np.sort((kernel.data * (steps if len(kernel.scales) > 1 else kernel.scales[0])).ravel())
        np.testing.assert_allclose(values, np.sort(plain[kernel.size].ravel()), rtol=2e-5, atol=1e-7)
    assert not any("not found" in stored.note for stored in exported.stored)


def test_the_reports_name_the_bits(row):
    _, setting, q, _, _, exported = row
    rows = {one.path: one for one in q.report.layers}
    bits = setting.get("weight_bits", 8)
    assert rows["depthwise"].weight_bits == bits
    assert rows["depthwise"].done == f"int{setting.get('activation_bits', 8)}"
    assert rows["depthwise"].sqnr_db > (0 if bits < 4 else 15 if bits == 4 else 30)
    json.dumps(q.report.to_dict(), allow_nan=False)
    packed = bits <= 4 and setting.get("pack_weights", True) and setting.get("activation_bits", 8) == 8
    stored = {one.layer: one.stored_bits for one in exported.stored}
    if bits < 8:
        assert stored["depthwise"] == (4 if packed else 8)
        assert stored.get("up", 8) == 8
        said = {one.layer for one in exported.stored if one.note}
        assert said == {one.layer for one in exported.stored if one.stored_bits != one.trained_bits}
    assert exported.inputs == (f"int{setting.get('activation_bits', 8)}",)
    assert (4 in exported.weight_bits) == packed
    for line in (*str(exported).splitlines(), *str(q.report).splitlines()):
        assert len(line) <= 80


def test_it_saves_and_loads(row, tmp_path):
    _, _, q, x, _, _ = row
    q.save(tmp_path / "q.keras")
    loaded = keras.models.load_model(tmp_path / "q.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), q.predict(x, verbose=0))
    assert loaded.report == q.report
    assert loaded.pack_weights == q.pack_weights


def test_overrides_leave_layers_float(tmp_path):
    model = network()
    x = samples_for(model, 32)
    q = tfopt.quantize(
        model, x, QuantConfig(overrides={"stem": None, lambda layer: layer.name == "head": None})
    )
    exported = tfopt.export(q, tmp_path / "a.tflite")
    assert exported.float_operators == {"CONV_2D": 1, "FULLY_CONNECTED": 1}
    assert "CAST" not in exported.operators
    floats = {row.path: row.note for row in q.report.layers if row.done == "float"}
    assert floats == {"stem": "as overrides ask", "head": "as overrides ask"}
    assert tfopt.verify(q, tmp_path / "a.tflite", x).passed
    np.testing.assert_array_equal(q.get_layer("stem").kernel, model.get_layer("stem").kernel)
    with pytest.raises(ValueError, match="strict=True"):
        tfopt.export(q, tmp_path / "b.tflite", strict=True)


grids = st.builds(
    lambda bits, ternary, granularity, power_of_two: WeightGrid(
        bits=2 if ternary else bits, ternary=ternary, granularity=granularity, power_of_two=power_of_two
    ),
    st.integers(1, 8),
    st.booleans(),
    st.sampled_from(["channel", "tensor"]),
    st.booleans(),
)


@settings(deadline=None)
@given(grids, st.integers(0, 2**32 - 1))
def test_weight_grids(grid, seed):
    """Few levels, common steps, exact zeros, and nothing better than rounding to the nearest of a uniform grid."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(3, 4, 5)).astype("float32") * 10.0 ** rng.integers(-3, 3)
    weight[rng.random(weight.shape) < 0.3] = 0.0
    step = np.asarray(grid.step(weight, (-1,)))
    rounded = np.asarray(grid.quantize(weight, (-1,)))
    codes = np.asarray(grid.codes(weight, step, (-1,)))
    assert step.shape == ((1, 1, 5) if grid.granularity == "channel" else (1, 1, 1))
    np.testing.assert_allclose(rounded, codes * step, rtol=1e-5)
    assert np.abs(codes).max() <= grid.largest_code
    assert len(np.unique(codes[weight != 0])) <= grid.levels
    np.testing.assert_array_equal(rounded[weight == 0], 0.0)
    if grid.power_of_two:
        np.testing.assert_array_equal(np.log2(step), np.round(np.log2(step)))
    if grid.bits > 1 and not grid.ternary:
        assert (np.abs(rounded - weight) <= 0.501 * step).all()


@settings(deadline=None)
@given(
    st.floats(-100, 100, width=32),
    st.floats(-100, 100, width=32),
    st.sampled_from([8, 16]),
    st.booleans(),
    st.booleans(),
)
def test_restricted_ranges_hold_the_old_ones(a, b, num_bits, symmetric, power_of_two):
    lo, hi = (float(end) for end in restrict_range(min(a, b), max(a, b), num_bits, symmetric, power_of_two))
    step = (hi - lo) / (2**num_bits - 1)
    slack = 2e-5 * (hi - lo) + (0 if symmetric else 0.5 * step if power_of_two else 0)
    assert min(lo, 0) <= min(a, b, 0) + slack
    assert max(hi, 0) >= max(a, b, 0) - slack
    if symmetric:
        assert -lo / step == pytest.approx(2 ** (num_bits - 1), rel=1e-5)
    if power_of_two:
        assert np.log2(step) == pytest.approx(np.round(np.log2(step)), abs=1e-4)


# Target -> scales of the Dense kernel, whether weights may be packed, whether floats are refused.
TARGETS = {
    "litert": (5, True, False),
    "tflm": (1, False, False),
    "ethos-u": (1, False, True),
    "google-tensor": (5, False, False),
    "edgetpu": (1, False, True),
}


@pytest.mark.parametrize("target", TARGETS)
def test_targets(target, tmp_path):
    scales, packs, strict = TARGETS[target]
    config = QuantConfig.for_target(target, weight_bits=4)
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.Dense(5, name="head")(inputs))
    x = samples_for(model, 32)
    q = tfopt.quantize(model, x, config)
    tfopt.export(q, tmp_path / "a.tflite")
    (kernel,) = TFLiteFile.read(tmp_path / "a.tflite").kernels
    assert (len(kernel.scales), kernel.bits) == (scales, 4 if packs else 8)
    assert tfopt.verify(q, tmp_path / "a.tflite", x).passed
    broken = keras.Model(inputs, layers.Dense(5)(keras.ops.erf(layers.Dense(8, name="first")(inputs))))
    if strict:
        with pytest.raises(ValueError, match=r"With strict=True every layer of .* cannot: 'erf\w*' \(Erf: "):
            tfopt.quantize(broken, x, config)
    else:
        assert "float" in {row.done for row in tfopt.quantize(broken, x, config).report.layers}


def test_report_of_any_model():
    model = network()
    x = samples_for(model, 8)
    model.get_layer("head").kernel.assign(np.zeros(model.get_layer("head").kernel.shape))
    rows = {one.path.rsplit("/")[-1]: one for one in tfopt.report(model).layers}
    assert rows["head"].sparsity == 1.0 and rows["stem"].sparsity == 0.0
    q = tfopt.quantize(model, x)
    assert tfopt.report(q) == q.report
    assert tfopt.report(tfopt.Distiller(q, model, losses=[tfopt.LogitMSE(from_logits=True)])) == q.report
    before = q.report
    q.get_layer("stem").kernel.assign(2.0 * q.get_layer("stem").kernel)
    assert tfopt.report(q).layers[0].sqnr_db == pytest.approx(before.layers[0].sqnr_db, abs=1e-3)
    assert tfopt.report(q).layers[-1].sqnr_db == 140.0  # all zero: exact
    with pytest.raises(TypeError, match=r"'model' argument must be a Keras 3 model. Got str"):
        tfopt.report("model.keras")
