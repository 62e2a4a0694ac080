"""Layers by name and path, in any model and in quantized ones; reading all of them in one run."""

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
import tfopt.distillation as td
from tests.distillation.test_features import data, distilled, network
from tests.models import MODELS, samples_for, trained_like
from tfopt.distillation._layer_paths import find_tap, layer_paths
from tfopt.distillation._taps import feature_specs, run_with_taps
from tfopt.graph import capture


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_of_every_model_can_be_read_in_one_run(name):
    model = trained_like(MODELS[name]())
    x = samples_for(model, 3)
    paths = {path: layer for path, layer in layer_paths(model).items() if layer.name != "shared"}
    taps = [find_tap(model, path, "student") for path in paths]
    expected = model(x)
    outputs, features = run_with_taps(model, taps, x)
    keras.tree.map_structure(np.testing.assert_array_equal, outputs, expected)
    for feature, layer in zip(features, paths.values(), strict=True):
        assert feature.shape[0] == 3 and "call" not in vars(layer)
    specs = feature_specs(model, taps, capture(model).inputs, training=True)
    assert [tuple(s.shape[1:]) for s in specs] == [tuple(f.shape[1:]) for f in features]


def test_an_error_in_the_model_leaves_no_tap():
    class Broken(layers.Layer):
        def call(self, x):
            raise RuntimeError("broken")

    layer = Broken()
    with pytest.raises(RuntimeError, match="broken"):
        run_with_taps(layer, [td._layer_paths.Tap(layer)], np.ones((1, 2)))
    assert "call" not in vars(layer)


def test_a_quantized_student_is_read_by_the_original_names():
    model = trained_like(network(4))
    x, _ = data()
    q = tfopt.quantize(model, calibration=x)
    for name in ("conv", "norm", "relu", "pool", "head"):
        tap = find_tap(q, name, "student")
        feature = np.array(run_with_taps(q, [tap], x, training=False)[1][0])
        original = np.array(keras.Model(model.inputs[0], model.get_layer(name).output)(x))
        # Close to the same quantity, softmax included, and on the int8 grid where the model rounds.
        assert np.abs(feature - original).max() < 0.05 * np.ptp(original) + 0.01, name
        rounded = type(tap.layer).__name__ == "FakeQuantize"
        assert rounded == (name in ("relu", "pool", "head"))
    distiller, logs = distilled(q, model, [td.FeatureMatching(["conv", "relu"]), td.SoftTargets()], epochs=2)
    assert logs["distillation_loss"][-1] > 0
    assert distiller.student is q


def test_a_nested_layer_keeps_its_path_when_quantized():
    model = trained_like(MODELS["nested"]())
    path = next(path for path in layer_paths(model) if path.startswith("backbone/conv"))
    q = tfopt.quantize(model, calibration=samples_for(model))
    assert find_tap(q, path, "student").layer.name == path.split("/")[1]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            "conf",
            r"name 'conf', but the teacher 'big' has no layer of that name or path. The nearest names are: conv",
        ),
        ("backbone/pol", r"'backbone/pol'.* The nearest names are: pool"),
    ],
)
def test_unknown_layers_list_near_matches(layer, message):
    with pytest.raises(ValueError, match=message):
        td.Distiller(network(), network(name="big"), [td.FeatureMatching([(layer, "conv")])])


def test_names_of_several_layers_and_calls():
    inner = [keras.Sequential([keras.Input((4,)), layers.Dense(4, name="dense")], name=name) for name in "ab"]
    inputs = keras.Input((4,))
    shared = layers.Dense(4, name="shared")
    model = keras.Model(inputs, shared(inner[1](shared(inner[0](inputs)))))
    with pytest.raises(ValueError, match=r"has 2 layers called 'dense': a/dense, b/dense. Pass the path"):
        find_tap(model, "dense", "student")
    x = np.ones((2, 4), "float32")
    taps = [find_tap(model, name, "student") for name in ("b/dense", "shared:0", "shared:1")]
    output, features = run_with_taps(model, taps, x)
    np.testing.assert_array_equal(features[2], output)
    np.testing.assert_array_equal(features[1], shared(inner[0](x)))
    with pytest.raises(ValueError, match=r"'shared' is called 2 times .* from 0: 'shared:0'"):
        run_with_taps(model, [find_tap(model, "shared", "student")], x)
    with pytest.raises(ValueError, match=r"called 2 times in one step, and call 2 \(from 0\) is asked for"):
        run_with_taps(model, [find_tap(model, "shared:2", "student")], x)


@pytest.mark.parametrize("name", ["subclassed", "nested"])
def test_layers_inside_other_models_are_distilled_by_path(name):
    student, teacher = (trained_like(MODELS[name]()) for _ in range(2))
    paths = [
        [path for path, layer in layer_paths(model).items() if isinstance(layer, layers.Conv2D)][-1]
        for model in (teacher, student)
    ]
    assert all("/" in path for path in paths)
    distiller = td.Distiller(student, teacher, [td.FeatureMatching([tuple(paths)])])
    distiller.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    x = samples_for(student, 4)
    logs = distiller.train_on_batch(x, np.zeros(student(x).shape), return_dict=True)
    read = [
        run_with_taps(model, [find_tap(model, path, "student")], x, training=model is student)[1][0]
        for model, path in zip((teacher, student), paths, strict=True)
    ]
    expected = ((np.array(read[0]) - np.array(read[1])) ** 2).mean()
    np.testing.assert_allclose(logs["distillation_loss"], expected, rtol=1e-4)
