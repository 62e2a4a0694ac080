"""Layers as people wrote them: what becomes integers throughout, and what is a named island."""

import keras
import numpy as np
import pytest

import tfopt
from tests import field_models
from tests.conversion.rows import quick
from tests.field_models import ROWS, exported, is_exact

# What was reported -> the note of its island, or None.
LAYERS = {
    "Lambda": None,
    "Lambda of tf": None,
    "Lambda that casts": None,
    "augmentation in the model": None,
    "Lambda with arguments": None,
    "call with tf": None,
    "no get_config": "weights of its own: see tfopt.register_quantized",
    "no config possible": None,
    "own weights beside layers": None,
    "top_k": "LiteRT has no int8 kernel for it",
}


@pytest.mark.parametrize("name", quick(LAYERS, ("Lambda of tf", "no config possible", "top_k")))
def test_layers_of_ones_own(name, tmp_path):
    model, x = field_models.reported(name)
    island = LAYERS[name]
    q = tfopt.quantize(model, x)
    path, report = exported(q, tmp_path)
    assert [row.note for row in q.report.layers if row.done == "float"] == (
        [] if island is None else [island]
    )
    assert bool(report.float_operators) == (island is not None)
    assert is_exact(q, path, x)
    exact = model.predict(x, verbose=0)
    assert np.abs(exact - q.predict(x, verbose=0)).max() < 0.1 * np.abs(exact).max()


def test_a_layer_that_cannot_be_copied_goes_into_a_float_file(tmp_path):
    model, x = field_models.reported("no config possible")
    tfopt.export(model, tmp_path / "model.tflite")
    (found,) = tfopt.runtimes.run(tmp_path / "model.tflite", x).values.values()
    np.testing.assert_allclose(found, model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_functions_of_keras_ops_have_kernels_or_are_named_islands(tmp_path):
    q = tfopt.quantize(field_models.of_functions(*field_models.FUNCTIONS), field_models.IMAGES)
    path, _ = exported(q, tmp_path)
    islands = {row.kind: row.note for row in q.report.layers if row.done == "float"}
    assert set(islands) == {island for _, island in field_models.FUNCTIONS.values() if island}
    assert set(islands.values()) == {"LiteRT has no int8 kernel for it"}
    assert is_exact(q, path, field_models.IMAGES)
    assert tfopt.runtimes.TFLiteFile.read(path).op_counts.get("SEGMENT_SUM", 0) == 0


def test_a_layer_that_cannot_be_opened_has_one_short_reason():
    (row,) = [
        row
        for row in tfopt.quantize(field_models.behind_dense(field_models.Bessel()), ROWS).report.layers
        if row.done == "float"
    ]
    assert row.note == "its tf.BesselI0 has no counterpart in keras.ops"


def test_what_was_a_lambda_is_saved_and_loaded(tmp_path):
    model, x = field_models.reported("Lambda of tf")
    q = tfopt.quantize(model, x)
    q.save(tmp_path / "q.keras")
    np.testing.assert_array_equal(
        keras.saving.load_model(tmp_path / "q.keras").predict(x, verbose=0), q.predict(x, verbose=0)
    )


@pytest.mark.slow
def test_layers_inside_code_of_tensorflow_still_train():
    model, x = field_models.reported("call with tf")
    q = tfopt.quantize(model, x)
    q.compile(keras.optimizers.SGD(0.1), "mse")
    before = [weight.numpy() for weight in q.trainable_variables]
    q.fit(x, np.ones((16, 8, 8, 2)), verbose=0)
    assert len(before) == len(model.trainable_variables)
    assert all(np.any(old != new.numpy()) for old, new in zip(before, q.trainable_variables, strict=True))
