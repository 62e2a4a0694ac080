"""The Keras simulation equals the interpreter: for each row of the placement table, and for whole models."""

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tfopt
from tests.conversion.cases import CASES, ISLANDS
from tests.conversion.forms import FORMS
from tests.conversion.rows import QUICK_ROWS, build, by_row, quick, side_by_side
from tests.models import MODELS, samples_for, trained_like
from tfopt.quantization import FakeQuantize

# Kernels that are a step off here and there by design, and the share of outputs that must be equal all the same:
# resizing multiplies with 11 fractional bits, and a cast to float16 loses some that the file keeps.
LESS_EXACT = {"Resizing": 0.65, "Cast": 0.95}


def check(model, path, samples, exact=0.9):
    q = tfopt.quantize(model, calibration=samples)
    exported = tfopt.export(q, path, strict=True)
    verified = tfopt.verify(q, path, samples)
    assert verified.passed, str(verified)
    assert all(output.equal >= exact for output in verified.outputs), str(verified)
    assert set(exported.weight_bits) <= {8}
    assert not exported.float_operators
    return exported


# Rows with 16-bit parts -> how many QUANTIZE operators stand inside; a border at the end of a file is not counted.
GRID_CHANGES = {
    **dict.fromkeys(
        (
            *(
                "AddMask",
                "Requantize",
                "LayerNorm",
                "LayerNormalization",
                "Norm",
                "RMSNorm",
                "RMSNormalization",
            ),
            *("UnitNormalization", "LayerNormalization, plain"),
        ),
        1,
    ),
    **dict.fromkeys(
        (
            *(
                "GroupNormalization",
                "Normalize",
                "Sqrt",
                "Std",
                "Var",
                "Norm of matrices",
                "Attention, causal",
            ),
            "softmax of a mask that is added",
            *("LayerNormalization, channels first", "LayerNormalization, two axes"),
            *("LayerNormalization, five axes", "GroupNormalization, channels first"),
            *("softmax of a causal attention", "softmax of masks that are computed"),
        ),
        2,
    ),
    **dict.fromkeys(
        (
            *("GlobalAveragePooling1D, masked", "GRU, masked, behind attention", "Attention, masked"),
            *("Attention, masked and causal", "MultiHeadAttention, masked"),
            *("MultiHeadAttention, masked and causal", "Attention, masked, with a scale"),
        ),
        3,
    ),
}


@pytest.fixture(scope="module")
def parity(tmp_path_factory):
    """From the name of a row to what the interpreter gave; the rows of a group are converted together."""
    path = tmp_path_factory.mktemp("operations") / "model.tflite"

    def converted(names):
        model = trained_like(side_by_side(names))
        samples = samples_for(model, 32)
        q = tfopt.quantize(model, calibration=samples)
        exported = tfopt.export(q, path, strict=True)
        assert exported.grid_changes == sum(GRID_CHANGES.get(name, 0) for name in names)
        assert set(exported.weight_bits) <= {8}
        assert not exported.float_operators
        return tfopt.verify(q, path, samples).outputs

    return by_row(converted)


@pytest.mark.parametrize("name", quick([*CASES, *FORMS], QUICK_ROWS))
def test_operation(name, parity):
    output = parity(name)
    assert output.within_1 == 1.0, output
    assert output.equal >= next((share for part, share in LESS_EXACT.items() if part in name), 0.95), output


GRIDS = {
    "powers of two": {"power_of_two": True, "symmetric": True},
    "per tensor": {"granularity": "tensor"},
    "4 bits": {"weight_bits": 4},
}


@pytest.mark.slow
@pytest.mark.parametrize("grid", GRIDS)
def test_operations_on_other_grids(grid, tmp_path):
    names = [*QUICK_ROWS, "GroupQueryAttention", "soft_shrink", "Square of a Conv1D"]
    model = trained_like(side_by_side(names))
    samples = samples_for(model, 48)
    q = tfopt.quantize(model, samples, tfopt.QuantConfig(**GRIDS[grid]))
    tfopt.export(q, tmp_path / "model.tflite", strict=True)
    outputs = tfopt.verify(q, tmp_path / "model.tflite", samples).outputs
    inexact = {name: output for name, output in zip(names, outputs, strict=True) if output.equal < 0.97}
    assert not inexact


@pytest.mark.parametrize("name", quick(ISLANDS, ["hard_shrink"]))
def test_island(name, tmp_path):
    """Float between one DEQUANTIZE and one QUANTIZE, named in the report; everything around it is int8."""
    model = trained_like(build(name))
    samples = samples_for(model, 32)
    q = tfopt.quantize(model, calibration=samples)
    (row,) = (row for row in q.report.layers if row.done == "float")
    assert row.kind == name.partition(" ")[0]
    exported = tfopt.export(q, tmp_path / "model.tflite")
    verified = tfopt.verify(q, tmp_path / "model.tflite", samples)
    assert verified.passed, str(verified)
    assert all(output.equal >= 0.97 for output in verified.outputs), str(verified)
    assert exported.float_operators
    assert not {"FlexOp"} & set(verified.custom_ops)
    with pytest.raises(ValueError, match=rf"With strict=True every layer.*{row.kind}.*leave strict out"):
        tfopt.quantize(model, calibration=samples, strict=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["Dense", "Conv1D", "Conv2D", "DepthwiseConv2D", "BatchNormalization", "Add", "softmax"]
)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_operation_over_shapes_and_ranges(name, tmp_path, data):
    shape = tuple(data.draw(st.integers(6, 12), label="size") for _ in CASES[name][1])
    scale = data.draw(st.sampled_from([1e-3, 1.0, 300.0]), label="scale")
    offset = data.draw(st.sampled_from([-1.0, 0.0, 2.0]), label="offset")
    model = trained_like(build(name, shape), seed=data.draw(st.integers(0, 99)))
    check(model, tmp_path / "model.tflite", (samples_for(model, 32) + offset).astype("float32") * scale)


@pytest.mark.parametrize("name", MODELS)
def test_model(name, tmp_path):
    model = trained_like(MODELS[name]())
    check(model, tmp_path / "model.tflite", samples_for(model, 32))


def test_a_trained_model(tmp_path, blobs):
    """After training on the grid, with batch norm: what was trained is what is shipped."""
    x, y = blobs
    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.Conv2D(8, 3, use_bias=False)(inputs)
    hidden = keras.layers.ReLU()(keras.layers.BatchNormalization()(hidden))
    outputs = keras.layers.Dense(4)(keras.layers.Flatten()(hidden))
    q = tfopt.quantize(keras.Model(inputs, outputs), calibration=x)
    q.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    q.fit(x, y, epochs=3, verbose=0)
    tfopt.export(q, tmp_path / "model.tflite")
    assert tfopt.verify(q, tmp_path / "model.tflite", x).passed


# Kernels of all kinds that round in a way of their own.
XLA_ROWS = [
    *("Conv2D", "DepthwiseConv2D", "Dense", "BatchNormalization", "Add", "Subtract"),
    *("Multiply", "Matmul", "Mean", "softmax", "leaky_relu"),
]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["litert", "tflm"])
def test_compiled_by_xla_a_model_still_equals_its_file(target, tmp_path):
    if target == "tflm":
        pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    model = trained_like(side_by_side(XLA_ROWS))
    samples = samples_for(model, 32)
    q = tfopt.quantize(model, samples, tfopt.QuantConfig.for_target(target))
    tfopt.export(q, tmp_path / "model.tflite")
    q.compile(jit_compile=True)
    verified = tfopt.verify(q, tmp_path / "model.tflite", samples, per_tensor=False)
    assert len(verified.outputs) == len(XLA_ROWS)
    assert [(output.name, output.equal) for output in verified.outputs if output.equal < 1] == []


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-12, 1e-6])
def test_dead_channels_do_not_overflow_the_bias(scale, tmp_path):
    """A channel without weights still has a bias, whose int32 code would overflow if the step followed the weights."""
    inputs = keras.Input((6,))
    dense = keras.layers.Dense(4)
    model = keras.Model(inputs, dense(inputs))
    kernel = np.asarray(dense.kernel).copy()
    kernel[:, 0] *= scale
    dense.set_weights([kernel, np.array([3.0, -2.0, 0.5, 0.0])])
    check(model, tmp_path / "model.tflite", samples_for(model, 32))


@pytest.mark.parametrize("layer", ["BatchNormalization", "LayerScale", "Rescaling"])
def test_a_lone_affine_layer_is_exact(layer, tmp_path):
    """In every bit: behind it stands a ReLU6, whose rounding errors `hard_silu` would multiply."""
    inputs = keras.Input((8, 8, 24))
    x = keras.layers.Conv2D(24, 3)(inputs)
    x = CASES[layer][0](x) if layer != "Rescaling" else keras.layers.Rescaling(0.37, 2.9)(x)
    model = trained_like(keras.Model(inputs, keras.layers.ReLU(6.0)(x)))
    check(model, tmp_path / "model.tflite", samples_for(model, 256), exact=1.0)


def test_deep_sums_are_exact(tmp_path):
    """Of 9,216 products a convolution of real numbers would lose a unit here and there, and flip codes."""
    inputs = keras.Input((3, 3, 1024))
    model = trained_like(keras.Model(inputs, keras.layers.Conv2D(512, 3, activation="relu")(inputs)))
    check(model, tmp_path / "model.tflite", np.abs(samples_for(model, 256)), exact=1.0)


# Which numbers are summed -> the shape of the inputs, the function, and how many there are.
MEANS = {
    "GlobalAveragePooling1D": ((9, 5), keras.layers.GlobalAveragePooling1D(), 9),
    "GlobalAveragePooling2D": ((2, 2, 5), keras.layers.GlobalAveragePooling2D(), 4),
    "GlobalAveragePooling2D, kept": ((7, 7, 5), keras.layers.GlobalAveragePooling2D(keepdims=True), 49),
    "GlobalAveragePooling3D": ((2, 3, 2, 5), keras.layers.GlobalAveragePooling3D(), 12),
    "Mean of features": ((3, 3, 14), lambda x: keras.ops.mean(x, axis=-1), 14),
    "Mean of rows": ((3, 6, 14), lambda x: keras.ops.mean(x, axis=2), 6),
    "Sum of features": ((3, 3, 14), lambda x: keras.ops.sum(x, axis=-1), 14),
    "Sum of rows": ((9, 14), lambda x: keras.ops.sum(x, axis=1), 9),
}


def _mean_model(name):
    shape, function, _ = MEANS[name]
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs))


@pytest.mark.parametrize("name", MEANS)
def test_means_halfway_between_codes(name, tmp_path):
    """With steps such as 13 and 22, sums end halfway between two codes, and float32 decides where they go."""
    model, rng = _mean_model(name), np.random.default_rng(0)
    terms = MEANS[name][2] if name.startswith("Sum") else 1
    for step, output_step, below, output_below in ((13, 22, 41, 80), (5, 2, 0, 0)):
        low, high = -step * below, step * (255 - below)
        x = rng.uniform(0.7 * low, 0.7 * high, (200, *model.input_shape[1:])).astype("float32")
        q = tfopt.quantize(model, calibration=x)
        first, last = (layer for layer in q.layers if isinstance(layer, FakeQuantize))
        first.set_range([low], [high])
        last.set_range([-terms * output_step * output_below], [terms * output_step * (255 - output_below)])
        verified = tfopt.verify(q, tfopt.export(q, tmp_path / "model.tflite").path, x)
        assert verified.outputs[0].equal == 1.0, str(verified)


@pytest.mark.parametrize("name", MEANS)
def test_means_of_16_bits(name, tmp_path):
    """LiteRT's own kernels round means twice, which moves one in four of them a step."""
    model = _mean_model(name)
    x = samples_for(model, 100)
    q = tfopt.quantize(model, calibration=x, config=tfopt.QuantConfig(activation_bits=16))
    verified = tfopt.verify(q, tfopt.export(q, tmp_path / "model.tflite").path, x)
    assert verified.outputs[0].equal == 1.0, str(verified)


@pytest.mark.parametrize("zero_points", [(5, 0), (0, 7)])
def test_matrix_products_with_and_without_a_zero_point(zero_points, tmp_path):
    """XNNPACK takes the first and rounds once; LiteRT's own kernel takes the second and rounds twice."""
    left, right = keras.Input((6, 9)), keras.Input((9, 8))
    model = keras.Model([left, right], keras.ops.matmul(left, right))
    samples = samples_for(model, 200)
    q = tfopt.quantize(model, samples)
    quantizers = [layer for layer in q.layers if isinstance(layer, FakeQuantize)]
    for layer, zero_point, step in zip(quantizers, (*zero_points, 3), (0.031, 0.027, 0.091), strict=True):
        layer.set_range([-step * (128 + zero_point)], [step * (127 - zero_point)])
    tfopt.export(q, tmp_path / "model.tflite")
    verified = tfopt.verify(q, tmp_path / "model.tflite", samples)
    assert verified.outputs[0].equal == 1.0, str(verified)


@pytest.mark.parametrize("activation", [None, 6.0])
def test_a_fused_relu_clips_where_the_grid_has_negative_codes(activation, tmp_path):
    """As on the grid of a concatenation: the kernel adds codes, and must not forget the ReLU behind it."""
    left, right = keras.Input((6,)), keras.Input((6,))
    sums = [layer([left, right]) for layer in (keras.layers.Add(), keras.layers.Subtract())]
    clipped = [keras.layers.ReLU(activation)(one) for one in (*sums, keras.layers.Multiply()([left, right]))]
    model = keras.Model([left, right], keras.layers.Concatenate()([*clipped, 3.0 * left]))
    check(model, tmp_path / "model.tflite", [5.0 * x for x in samples_for(model, 64)], exact=1.0)


def test_a_layer_that_is_always_zero_keeps_a_grid(tmp_path):
    """XNNPACK refuses files in which an output's step is far smaller than that of the sums it is made from."""
    zero = {"activation": "relu", "bias_initializer": keras.initializers.Constant(-100.0)}
    layers = [keras.layers.Dense(5, **zero), keras.layers.Dense(5, **zero), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((6,)), *layers])
    layers[-1].set_weights([np.ones((5, 3)), np.array([3.0, -2.0, 0.5])])
    check(model, tmp_path / "model.tflite", samples_for(model, 32), exact=1.0)
