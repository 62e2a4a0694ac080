"""Cross-layer equalization keeps the function, gives pairs equal ranges, and names what it leaves."""

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tests.models import MODELS, samples_for, trained_like
from tfopt.graph import build_model, capture
from tfopt.quantization.post_training import equalize_graph

# What stands between two kernels, and the number of pairs that this makes.
BETWEEN = {
    "nothing": ([], 1),
    "relu": ([layers.ReLU()], 1),
    "leaky_relu": ([layers.LeakyReLU(0.2)], 1),
    "prelu": ([layers.PReLU(alpha_initializer="uniform", shared_axes=[1, 2])], 1),
    "batch_norm": ([layers.BatchNormalization(), layers.ReLU()], 1),
    "norm_without_gamma": ([layers.BatchNormalization(scale=False), layers.ReLU()], 1),
    "norm_without_beta": ([layers.BatchNormalization(center=False), layers.ReLU()], 1),
    "pooling": (
        [layers.ReLU(), layers.ZeroPadding2D(1), layers.MaxPooling2D(2), layers.AveragePooling2D(2)],
        1,
    ),
    "depthwise": (
        [layers.DepthwiseConv2D(2, depth_multiplier=2), layers.BatchNormalization(), layers.ReLU()],
        2,
    ),
    "transposed": ([layers.Conv2DTranspose(3, 2, strides=2), layers.ReLU()], 2),
    "relu6": ([layers.ReLU(6)], 0),
    "silu": ([layers.Activation("silu")], 0),
    "norm_after_relu": ([layers.ReLU(), layers.BatchNormalization()], 0),
}


def net(between, head="conv"):
    ending = {
        "conv": [layers.Conv2D(3, 2)],
        "flatten": [layers.Flatten(), layers.Dense(3)],
        "pool": [layers.GlobalAveragePooling2D(), layers.Dense(3)],
    }[head]
    copies = [type(layer).from_config(layer.get_config()) for layer in between]
    model = keras.Sequential([keras.Input((9, 8, 3)), layers.Conv2D(4, 2), *copies, *ending])
    model = trained_like(model)
    first = model.layers[0]
    first.kernel.assign(np.asarray(first.kernel) * np.array([0.05, 1.0, 4.0, 30.0]))
    return model


@pytest.mark.parametrize("head", ["conv", "flatten", "pool"])
@pytest.mark.parametrize("name", BETWEEN)
def test_equalization_keeps_the_function(name, head):
    between, pairs = BETWEEN[name]
    model = net(between, head)
    before = [np.asarray(weight).copy() for weight in model.weights]
    graph, notes = equalize_graph(capture(model))
    equalized = build_model(graph)
    x = samples_for(model)
    expected = np.asarray(model(x))
    np.testing.assert_allclose(equalized(x), expected, atol=2e-6 * np.abs(expected).max(), rtol=1e-4)
    assert sum(note.startswith("equalized with") for note in notes.values()) == pairs
    changed = any(
        not np.array_equal(a, b)
        for a, b in zip(model.get_weights(), equalized.get_weights(), strict=False)
        if a.shape == b.shape
    )
    assert changed == bool(pairs)
    for old, weight in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(weight, old)


@pytest.mark.parametrize("name", MODELS)
def test_equalization_keeps_whole_models(name):
    model = trained_like(MODELS[name]())
    x = samples_for(model)
    equalized = build_model(equalize_graph(capture(model))[0])
    for ours, theirs in zip(keras.tree.flatten(equalized(x)), keras.tree.flatten(model(x)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_equalized_pairs_have_equal_ranges():
    model = net([layers.ReLU()])
    graph, _ = equalize_graph(capture(model))
    first, _, second = (node.op for node in graph.nodes)
    np.testing.assert_allclose(
        np.abs(np.asarray(first.kernel)).max((0, 1, 2)),
        np.abs(np.asarray(second.kernel)).max((0, 1, 3)),
        rtol=1e-5,
    )


def test_what_is_not_equalized_is_named():
    inputs = keras.Input((6, 6, 4))
    shared = layers.Conv2D(4, 1, name="shared")
    x = layers.ReLU(6, name="bounded")(layers.Conv2D(4, 1, name="before_relu6")(inputs))
    x = layers.Conv2D(4, 1, name="before_shared")(x)
    x = shared(shared(x))
    y = layers.Conv2D(4, 1, groups=2, name="grouped")(layers.Conv2D(4, 1, name="before_groups")(x))
    model = keras.Model(inputs, layers.Add()([y, layers.Conv2D(4, 1, activation="gelu", name="gelu")(x)]))
    notes = equalize_graph(capture(model))[1]
    for path, words in {
        "before_relu6": "bounded (relu6) follows",
        "before_shared": "shared is called more than once",
        "shared": "it is called more than once",
        "before_groups": "grouped has groups",
        "gelu": "gelu is not positively homogeneous",
        "grouped": "(Add) follows",
    }.items():
        assert notes[path].startswith("not equalized: ") and words in notes[path], notes[path]
    report = tfopt.quantize(model, samples_for(model), equalize=True).report
    assert any("not equalized: bounded" in row.note for row in report.layers)
