"""16-bit activations: a kernel for each row of the table, or an island with the reason."""

import keras
import numpy as np
import pytest

import tfopt
from tests.conversion.cases import CASES
from tests.conversion.forms import FORMS
from tests.conversion.rows import RECURRENT_ROWS, by_row, side_by_side
from tests.models import samples_for, trained_like
from tfopt.runtimes import TFLiteFile

WIDE = tfopt.QuantConfig(activation_bits=16)

# LiteRT looks these up, or a part of them, in tables with a slope between two entries, and resizes with 11 fractional
# bits; of a range of 65,536 steps that is up to 0.15 %. A cast to float16 loses bits that the file keeps.
LOOKED_UP = (
    *("Rsqrt", "gelu", "gelu by tanh", "Resizing", "Cast"),
    *(
        "Expm1",
        "Log1p",
        "Logsumexp of several axes",
        "celu",
        "elu",
        "log_sigmoid",
        "mish",
        "selu",
        "softplus",
    ),
)


@pytest.fixture(scope="module")
def parity(tmp_path_factory):
    """From the name of a row to what the interpreter gave."""
    path = tmp_path_factory.mktemp("wide") / "model.tflite"

    def converted(names):
        kept = [name for name in names if name not in RECURRENT_ROWS]
        model = trained_like(side_by_side(kept))
        samples = samples_for(model, 32)
        q = tfopt.quantize(model, samples, WIDE)
        tfopt.export(q, path)
        found = dict(zip(kept, tfopt.verify(q, path, samples, tolerance=100).outputs, strict=True))
        return [found.get(name) for name in names]

    return by_row(converted)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in (*CASES, *FORMS) if name not in RECURRENT_ROWS])
def test_operation(name, parity):
    output = parity(name)
    assert output.dtype == "int16"
    assert output.max_steps <= (100 if name in LOOKED_UP else 8), output


@pytest.mark.slow
def test_exponentials_and_logarithms_are_looked_up_to_the_bit(tmp_path):
    """Logarithms of what is not positive too, and of numbers near 0, where the table is coarse."""
    inputs = [keras.Input((5, 4), name=name) for name in "abc"]
    outputs = [keras.ops.exp(inputs[0]), keras.ops.log(inputs[1]), keras.ops.logsumexp(inputs[2], axis=-1)]
    x = [np.random.default_rng(seed).normal(size=(100, 5, 4)).astype("float32") for seed in range(3)]
    model = keras.Model(inputs, outputs)
    q = tfopt.quantize(model, [x[0], np.abs(x[1]) + 0.02, x[2]], WIDE)
    tfopt.export(q, tmp_path / "model.tflite")
    verified = tfopt.verify(q, tmp_path / "model.tflite", x, per_tensor=False)
    assert [output.equal for output in verified.outputs] == [1.0, 1.0, 1.0]


ISLANDS = ["Argmax", "log_softmax", "Clip", "Minimum", "Pad"]


def test_what_has_no_16_bit_kernel_is_named(tmp_path):
    model = trained_like(side_by_side(ISLANDS))
    samples = samples_for(model, 16)
    q = tfopt.quantize(model, samples, WIDE)
    floats = {row.kind: row.note for row in q.report.layers if row.done == "float"}
    assert floats == dict.fromkeys(ISLANDS, "LiteRT has no 16-bit kernel for it")
    exported = tfopt.export(q, tmp_path / "model.tflite", input_dtype="float32", output_dtype="float32")
    assert exported.inputs == ("float32",) * len(ISLANDS)
    assert tfopt.verify(q, tmp_path / "model.tflite", samples, tolerance=4).passed
    with pytest.raises(ValueError, match="strict=True"):
        tfopt.quantize(model, samples, WIDE, strict=True)


def test_a_residual_network_is_whole_numbers(tmp_path):
    """ReLU6 clips, though the converter saw grids that end below 6."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(6, 3, padding="same", use_bias=False)(inputs)
    x = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(x))
    x = keras.layers.Add()([x, keras.layers.DepthwiseConv2D(3, padding="same")(x)])
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    model = trained_like(keras.Model(inputs, keras.layers.Dense(4, activation="softmax")(x)))
    samples = 30.0 * samples_for(model, 64)
    q = tfopt.quantize(model, samples, WIDE)
    exported = tfopt.export(q, tmp_path / "model.tflite", strict=True)
    assert not exported.float_operators
    assert exported.grid_changes == 0
    assert set(exported.weight_bits) == {8}
    file = TFLiteFile.read(tmp_path / "model.tflite")
    assert {tensor.dtype for tensor in (*file.inputs, *file.outputs)} == {"int16"}
    verified = tfopt.verify(q, tmp_path / "model.tflite", samples, tolerance=4)
    assert verified.passed, str(verified)
    error = np.abs(q.predict(samples, verbose=0) - model.predict(samples, verbose=0))
    assert error.max() < 0.02


def test_tables_of_embeddings_have_16_bits(tmp_path):
    inputs = keras.Input((4,), dtype="int32")
    outputs = keras.layers.Dense(3)(keras.layers.Flatten()(keras.layers.Embedding(9, 5)(inputs)))
    model = trained_like(keras.Model(inputs, outputs))
    samples = np.random.default_rng(0).integers(0, 9, (32, 4)).astype("int32")
    q = tfopt.quantize(model, samples, WIDE)
    tfopt.export(q, tmp_path / "model.tflite")
    assert tfopt.verify(q, tmp_path / "model.tflite", samples).passed
    # An 8-bit table would be off by 1/500 of its range.
    np.testing.assert_allclose(q.predict(samples, verbose=0), model.predict(samples, verbose=0), atol=0.02)


def test_sums_of_codes_do_not_overflow():
    """The 21-bit factors of the 8-bit kernel would, with codes of 16 bits."""
    left, right = keras.Input((6,)), keras.Input((6,))
    for layer in (keras.layers.Add(), keras.layers.Subtract(), keras.layers.Multiply()):
        model = keras.Model([left, right], layer([left, right]))
        x = [np.random.default_rng(seed).normal(size=(64, 6)).astype("float32") for seed in (0, 1)]
        q = tfopt.quantize(model, x, WIDE)
        np.testing.assert_allclose(q.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-3)
