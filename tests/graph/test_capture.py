"""Capture and rewrite: the graph computes what the model computes, and the model is left as it was."""

import keras
import numpy as np
import pytest
from keras import layers

from tests.conversion.masked import MASKED, MASKED_RECURRENT, Wrapped
from tests.models import IMAGE, MODELS, Block, samples_for, trained_like
from tfopt.graph import (
    Evaluation,
    build_model,
    capture,
    einsum_axes,
    flatten_layers,
    fold_batch_norms,
    kind,
    own_weights,
)


@pytest.mark.parametrize("name", MODELS)
def test_rewrite_equals_the_original(name):
    model = trained_like(MODELS[name]())
    x = samples_for(model, 8)
    expected = keras.tree.map_structure(np.array, model(x, training=False))

    graph = capture(model)
    rebuilt = build_model(graph)

    keras.tree.map_structure(np.testing.assert_array_equal, rebuilt(x, training=False), expected)
    assert not {id(w) for w in rebuilt.weights} & {id(w) for w in model.weights}
    assert not any(node.opaque for node in graph.nodes)
    assert not any(isinstance(node.op, (keras.Model, Block)) for node in graph.nodes)


def test_sizes_that_attention_knows_are_known_when_it_is_opened():
    inputs, memory = keras.Input((6, 8)), keras.Input((4, 8))
    x = layers.MultiHeadAttention(2, 4, dropout=0.1)(inputs, memory)
    x = layers.Permute((2, 1))(layers.GroupQueryAttention(4, 2, 2)(x, x))
    model = keras.Model([inputs, memory], [layers.Dense(3)(x), layers.Dense(2)(layers.Flatten()(x))])
    rebuilt = build_model(capture(model))
    assert [tensor.shape for tensor in rebuilt.outputs] == [tensor.shape for tensor in model.outputs]
    x = samples_for(model, 5)
    for one, other in zip(rebuilt(x), model(x), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_shared_einsum_serves_sequences_of_several_lengths():
    shared = layers.EinsumDense("abc,cd->abd", (None, 4))
    inputs = [keras.Input((6, 8)), keras.Input((3, 8))]
    model = keras.Model(inputs, [shared(tensor) for tensor in inputs])
    x = samples_for(model, 5)
    for one, other in zip(build_model(capture(model))(x), model(x), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", MODELS)
def test_folding_keeps_outputs(name):
    model = trained_like(MODELS[name]())
    x = samples_for(model, 8)
    folded = build_model(fold_batch_norms(capture(model)))
    keras.tree.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6),
        folded(x, training=False),
        model(x, training=False),
    )


@pytest.mark.parametrize("name", [*MASKED, *MASKED_RECURRENT])
def test_masks_on_tensors_become_arguments(name):
    apply, shape = {**MASKED, **MASKED_RECURRENT}[name]
    inputs = keras.Input(shape)
    model = keras.Model(inputs, apply(inputs))
    x = samples_for(model, 32)
    expected, rebuilt = model(x), build_model(capture(model))
    # TimeDistributed multiplies step by step what one Dense multiplies at once: that may round otherwise.
    most = 1e-6 if "TimeDistributed" in name else 0.0
    np.testing.assert_allclose(rebuilt(x), expected, rtol=most, atol=most)
    for layer in (
        *flatten_layers(rebuilt),
        *flatten_layers(model),
    ):  # nothing hangs masks on tensors any more
        if isinstance(layer, layers.Embedding):
            layer.mask_zero = layer.supports_masking = False
    np.testing.assert_allclose(rebuilt(x), expected, rtol=most, atol=most)


def test_a_mask_reaches_a_layer_in_a_model_of_ones_own():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.words = layers.Embedding(4, 3, mask_zero=True, embeddings_initializer="normal")
            self.inner = Wrapped(Wrapped(layers.GRU(3)))

        def call(self, x):
            return self.inner(self.words(x))

    x, model = np.random.default_rng(0).integers(0, 4, (32, 5)), Model()
    expected = model(x)
    np.testing.assert_allclose(build_model(capture(model, x))(x), expected, atol=1e-6)


def test_folding_removes_only_batch_norms_behind_a_lone_linear_layer():
    kinds = [kind(node.op) for node in fold_batch_norms(capture(MODELS["residual"]())).nodes]
    # The one behind the depthwise convolution is folded, the one behind the concatenation is not.
    assert kinds.count("BatchNormalization") == 1
    inputs = keras.Input(IMAGE)
    x = layers.Conv2D(3, 1)(inputs)
    read_twice = keras.Model(inputs, layers.Add()([x, layers.BatchNormalization()(x)]))
    assert "BatchNormalization" in [kind(node.op) for node in fold_batch_norms(capture(read_twice)).nodes]


def test_capture_leaves_no_trace_on_the_model():
    model = MODELS["nested"]()
    backbone = model.get_layer("backbone")
    outputs = [backbone.layers[0].output, model.layers[-1].output]
    capture(model), capture(model)
    assert [backbone.layers[0].output, model.layers[-1].output] == outputs


def test_nested_paths_name_the_model():
    assert capture(MODELS["nested"]()).nodes[0].path.startswith("backbone/conv2d")


@pytest.mark.parametrize("name", ["nested", "residual", "siamese", "subclassed"])
def test_training_the_rewrite_equals_training_the_original(name):
    # Batch norms of a backbone that is called with training=False are where a rewrite would differ.
    model = trained_like(MODELS[name]())
    rebuilt = build_model(capture(model))
    x = samples_for(model, 32)
    y = np.zeros((32, *capture(model).outputs.shape[1:]), "float32")
    for one in (model, rebuilt):
        one.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=False)
        one.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    for ours, theirs in zip(rebuilt.weights, model.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_shared_layers_stay_shared():
    graph = capture(MODELS["siamese"]())
    first, second = (node for node in graph.nodes if node.op.name == "shared")
    assert first.op is second.op
    assert sum(layer.name == "shared" for layer in build_model(graph).layers) == 1


def test_same_name_in_two_models_is_told_apart():
    def part(name):
        return keras.Sequential([keras.Input((4,)), layers.Dense(4, name="dense")], name=name)

    model = keras.Sequential([keras.Input((4,)), part("a"), part("b")])
    assert [layer.name for layer in build_model(capture(model)).layers[1:]] == ["dense", "b_dense"]


class Scale(layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],))
        self.inner = layers.Dense(shape[-1])
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x) * self.factor


class NumPyOnly(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = layers.Dense(2)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return np.tanh(np.asarray(x))

    def compute_output_shape(self, shape):
        return shape


@pytest.mark.parametrize(
    "layer, reason",
    [
        (layers.LSTM(2), "LSTM loops over time"),
        (layers.TimeDistributed(layers.BatchNormalization()), "TimeDistributed loops over time"),
        (Scale(), "holds weights of its own beside its layers: variable"),
        (NumPyOnly(), "its call is not made of keras.ops and Keras layers"),
    ],
)
def test_what_cannot_be_opened_says_why(layer, reason):
    inputs = keras.Input((4, 3))
    (node,) = capture(keras.Model(inputs, layer(inputs))).nodes
    assert node.op is layer
    assert reason in node.opaque


def test_time_distributed_opens_into_its_layer():
    inputs = keras.Input((4, 3, 6))
    model = keras.Model(inputs, layers.TimeDistributed(layers.Conv1D(2, 2))(inputs))
    x = samples_for(model, 8)
    graph = capture(model)
    assert [kind(node.op) for node in graph.nodes] == ["Reshape", "Conv1D", "Reshape"]
    np.testing.assert_allclose(build_model(graph)(x), model(x), atol=1e-6)


def test_a_layer_that_acts_in_training_alone_is_kept():
    class DropPath(layers.Layer):
        def call(self, x, training=None):
            return 0 * x if training else x

    inputs = keras.Input((4,))
    (node,) = capture(keras.Model(inputs, DropPath(name="drop")(inputs))).nodes
    assert node.drops and node.op.name == "drop"


@pytest.mark.parametrize(
    "equation, output, bias, axes",
    [
        ("abc,cde->abde", (5, 2, 3), "de", ((1, 2), (0,), (0, 1, 2), (0, 1, 2, 3))),
        ("abde,dec->abc", (5, 7), "c", ((2,), (0, 1), (0, 1, 2, 3), (0, 1, 2))),
        ("abc,dec->adbe", (2, 5, 3), None, ((0, 1), (2,), (0, 1, 2), (0, 2, 1, 3))),
        ("abc,bcd->abd", (5, 3), None, None),
        ("abc,cd->abd", (5, 3), "b", None),
    ],
)
def test_einsum_axes(equation, output, bias, axes):
    layer = layers.EinsumDense(equation, output, bias_axes=bias)
    layer.build((None, 5, 2, 3) if equation.startswith("abd") else (None, 5, 4))
    found = einsum_axes(layer)
    assert (found and (found.kept, found.summed, found.inputs, found.outputs)) == axes


def test_attention_opens_into_its_projections():
    inputs = keras.Input((4, 6))
    graph = capture(keras.Model(inputs, layers.MultiHeadAttention(2, 3)(inputs, inputs)))
    assert [kind(node.op) for node in graph.nodes].count("EinsumDense") == 4


@pytest.mark.parametrize(
    "model, error, words",
    [
        (keras.Sequential([layers.Dense(2)]), ValueError, "must be built before it can be captured"),
        (keras.layers.Dense(2), TypeError, "must be a Keras 3 model"),
        (lambda x: x, TypeError, "must be a Keras 3 model"),
    ],
)
def test_errors_teach(model, error, words):
    with pytest.raises(error, match=words):
        capture(model)


def test_a_copy_that_cannot_be_made_names_the_layer():
    class NoConfig(layers.Layer):
        def __init__(self, secret, name=None):
            super().__init__(name=name)
            self.weight = self.add_weight(shape=(1,))

        def call(self, x):
            return x * self.weight

        def get_config(self):
            return {"nothing": 0}

    inputs = keras.Input((2,))
    model = keras.Model(inputs, NoConfig(1, name="odd")(inputs))
    with pytest.raises(ValueError, match=r"'odd' \(NoConfig\) cannot be copied from its config"):
        build_model(capture(model))


def test_flatten_layers_and_own_weights_cover_every_weight_once():
    model = MODELS["subclassed"]()
    found = [id(weight) for layer in flatten_layers(model) for weight in own_weights(layer)]
    assert sorted(found) == sorted(id(weight) for weight in model.weights)


def test_an_evaluation_leaves_out_what_acts_in_training_only():
    inputs = keras.Input((4, 4, 1))
    graph = capture(keras.Model(inputs, layers.RandomRotation(0.5)(inputs)))
    x = np.arange(32, dtype="float32").reshape(2, 4, 4, 1)
    (made,) = Evaluation(graph)(x)
    np.testing.assert_array_equal(made, x)


def test_an_evaluation_does_not_train_what_follows_a_resizing():
    """Keras calls it with training=True unless it is told otherwise, and the layers behind it take that over."""
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, layers.BatchNormalization()(layers.Resizing(2, 2)(inputs)))
    x = np.arange(32, dtype="float32").reshape(2, 4, 4, 1)
    (made,) = Evaluation(capture(model))(x)
    np.testing.assert_array_equal(made, model.predict(x, verbose=0))
