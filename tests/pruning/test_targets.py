"""Which weights are pruned. A new layer type adds a row to LAYERS."""

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tfopt.pruning import find_targets


@keras.saving.register_keras_serializable(package="tests")
class Mixer(layers.Layer):
    """A custom layer with a matrix, a vector and a sublayer."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.mix = self.add_weight(shape=(shape[-1], shape[-1]), name="mix")
        self.shift = self.add_weight(shape=(shape[-1],), name="shift")
        self.dense = layers.Dense(3, name="inner")
        self.dense.build(shape)

    def call(self, x):  # type: ignore[no-untyped-def]
        return self.dense(x @ self.mix + self.shift)


class MyConv(layers.Conv2D):
    """A subclass counts as its base class."""


class OwnCell(layers.Layer):
    """A recurrent cell of the user's."""

    state_size = 2

    def build(self, shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 2), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(2, 2), name="recurrent_kernel")
        self.bias = self.add_weight(shape=(2, 2), name="bias")

    def call(self, x, states):  # type: ignore[no-untyped-def]
        new = x @ self.kernel + states[0] @ self.recurrent_kernel + self.bias[0]
        return new, [new]


CELL = ["kernel", "recurrent_kernel"]

# layer, its input's shape, where, names of the weights that are pruned, part of the reason when there are none
LAYERS = [
    (lambda: layers.Dense(2), (3,), None, ["kernel"], ""),
    (lambda: layers.EinsumDense("ab,bc->ac", output_shape=2), (3,), None, ["kernel"], ""),
    (lambda: layers.Conv1D(2, 2), (4, 3), None, ["kernel"], ""),
    (lambda: layers.Conv2D(2, 2), (4, 4, 3), None, ["kernel"], ""),
    (lambda: MyConv(2, 2), (4, 4, 3), None, ["kernel"], ""),
    (lambda: layers.Conv3D(2, 2), (4, 4, 4, 3), None, ["kernel"], ""),
    (lambda: layers.Conv1DTranspose(2, 2), (4, 3), None, ["kernel"], ""),
    (lambda: layers.Conv2DTranspose(2, 2), (4, 4, 3), None, ["kernel"], ""),
    (lambda: layers.Conv3DTranspose(2, 2), (4, 4, 4, 3), None, ["kernel"], ""),
    (lambda: layers.SeparableConv1D(2, 2), (4, 3), None, ["pointwise_kernel"], ""),
    (lambda: layers.SeparableConv2D(2, 2), (4, 4, 3), None, ["pointwise_kernel"], ""),
    (lambda: layers.MultiHeadAttention(2, 3), None, None, ["kernel"] * 4, ""),
    (Mixer, (3,), None, ["kernel"], "no rule for Mixer: name the layer in where="),
    (Mixer, (3,), "probe", ["mix", "kernel"], ""),
    (lambda: layers.DepthwiseConv1D(2), (4, 3), None, [], "depthwise"),
    (lambda: layers.DepthwiseConv2D(2), (4, 4, 3), None, [], "depthwise kernels hold about 1 %"),
    (lambda: layers.Embedding(5, 2), (40,), None, [], "embeddings"),
    (lambda: layers.BatchNormalization(), (3,), None, [], "normalization"),
    (lambda: layers.LayerNormalization(), (3,), None, [], "normalization"),
    (lambda: layers.GroupNormalization(3), (4, 4, 3), None, [], "normalization"),
    (lambda: layers.RMSNormalization(), (3,), None, [], "normalization"),
    (lambda: layers.PReLU(), (3,), None, [], "no rule for PReLU"),
    (lambda: layers.PReLU(), (3,), "probe", [], "no weight with two or more axes"),
    (lambda: layers.LSTM(2), (4, 3), None, CELL, ""),
    (lambda: layers.LSTM(2), (4, 3), "probe", CELL, ""),
    (lambda: layers.GRU(2), (4, 3), None, CELL, ""),
    (lambda: layers.GRU(2), (4, 3), "probe", CELL, ""),  # its bias has two axes
    (lambda: layers.SimpleRNN(2), (4, 3), None, CELL, ""),
    (lambda: layers.Bidirectional(layers.GRU(2)), (4, 3), None, 2 * CELL, ""),
    (lambda: layers.RNN([layers.LSTMCell(2), layers.GRUCell(3)]), (4, 3), None, 2 * CELL, ""),
    (lambda: layers.RNN(OwnCell()), (4, 3), None, CELL, ""),
    (lambda: layers.ConvLSTM2D(2, 2), (3, 4, 4, 1), None, CELL, ""),
    (lambda: layers.TimeDistributed(layers.Dense(2)), (4, 3), None, ["kernel"], ""),
    (lambda: layers.GroupQueryAttention(2, 2, 1), None, None, ["kernel"] * 4, ""),
    (lambda: layers.Embedding(500, 2), (4,), None, ["embeddings"], ""),
    (lambda: layers.LSTM(2, trainable=False), (4, 3), None, [], "frozen"),
    (lambda: layers.Dense(2, trainable=False), (3,), None, [], "frozen"),
]


@pytest.mark.parametrize(("make", "shape", "where", "names", "reason"), LAYERS)
def test_layer_rules(make, shape, where, names, reason) -> None:  # type: ignore[no-untyped-def]
    layer = make()
    layer.name = "probe"
    inputs = keras.Input(shape or (4, 3))
    outputs = layer(inputs) if shape else layer(inputs, inputs)
    # A second layer, so that there is always something to prune.
    model = keras.Model(inputs, layers.Dense(1, name="probe_last")(layers.Flatten()(outputs)))
    targets, dense = find_targets(model, where)
    assert [t.variable.name for t in targets if "probe_last" not in t.variable.path] == names
    reasons = [text for path, text in dense if path.startswith("probe") and path != "probe_last"]
    assert len(reasons) == bool(reason) and all(reason in text for text in reasons)


def nested() -> keras.Model:
    """A subclassed model with a list, a dict, a nested model that is called twice and a tied weight."""

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="net")
            self.blocks = [layers.Dense(4, name="first"), layers.Dense(4, name="second")]
            self.heads = {"a": layers.Dense(2, name="head")}
            self.body = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="inner")], name="body")

        def call(self, x):  # type: ignore[no-untyped-def]
            for block in self.blocks:
                x = self.body(block(x))
            return self.heads["a"](x)

    model = Net()
    model(np.zeros((1, 4), "float32"))
    return model


def test_subclassed_and_nested_models_and_shared_layers() -> None:
    targets, dense = find_targets(nested())
    assert [target.variable.path for target in targets] == [
        "net/first/kernel",
        "net/second/kernel",
        "net/head/kernel",
        "body/inner/kernel",
    ]
    assert dense == ()


class Tied(layers.Layer):
    """Multiplies by the kernel of another layer."""

    def __init__(self, source: layers.Dense, name: str) -> None:
        super().__init__(name=name)
        self.tied = source.kernel

    def call(self, x):  # type: ignore[no-untyped-def]
        return x @ self.tied


def test_a_shared_variable_counts_once() -> None:
    first = layers.Dense(4, name="first")
    inputs = keras.Input((4,))
    hidden = first(inputs)
    model = keras.Model(inputs, Tied(first, "second")(hidden))
    targets, dense = find_targets(model, where="first|second")
    assert [target.variable.path for target in targets] == ["first/kernel"]
    assert dense == (("second", "shares its weight with first"),)


@pytest.mark.parametrize(
    ("where", "paths"),
    [
        ("first|head", ["net/first", "net/head"]),
        (r"^body/", ["body/inner"]),
        (r"^(?!.*head)", ["net/first", "net/second", "body/inner"]),
        (lambda layer: getattr(layer, "units", 0) == 2, ["net/head"]),
    ],
)
def test_where_selects_by_path_or_by_function(where, paths) -> None:  # type: ignore[no-untyped-def]
    targets, dense = find_targets(nested(), where)
    assert [target.layer.path for target in targets] == paths
    assert {text for _, text in dense} == {"not selected by where="}
    assert len(targets) + len(dense) == 4


def test_where_that_matches_nothing_lists_the_layers() -> None:
    with pytest.raises(
        ValueError, match=r"'where'.*match a layer of model 'net'. Got 'stem', which matches none"
    ) as e:
        find_targets(nested(), "stem")
    assert "net/first, net/second, net/head, body/inner" in str(e.value)


def test_nothing_to_prune_says_why() -> None:
    model = keras.Sequential([keras.Input((4,)), layers.BatchNormalization(name="norm")], name="net")
    with pytest.raises(
        ValueError, match=r"found no weight to prune in model 'net'. net/norm: normalization.*Unfreeze"
    ):
        find_targets(model)


def test_unbuilt_model() -> None:
    with pytest.raises(ValueError, match=r"'net' must be built before it is pruned.*call it once on a batch"):
        find_targets(keras.Sequential([layers.Dense(2)], name="net"))


def test_a_quantized_copy_leaves_the_same_layers_dense():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="first")(inputs)
    x = keras.layers.Conv2D(16, 3, activation="relu", name="middle")(x)
    model = keras.Model(inputs, keras.layers.Dense(4, name="last")(keras.layers.GlobalAveragePooling2D()(x)))
    quantized = tfopt.quantize(model, np.random.default_rng(0).normal(size=(8, 8, 8, 1)).astype("float32"))
    pruned = [[target.layer.name for target in find_targets(one)[0]] for one in (model, quantized)]
    assert pruned == [["middle"], ["middle"]]


def test_recurrent_kernels_are_pruned_by_default_and_named_in_the_report() -> None:
    x = inputs = keras.Input((6, 8))
    x = layers.Bidirectional(layers.LSTM(16, return_sequences=True, name="lstm"), name="both")(x)
    x = layers.MultiHeadAttention(2, 8, name="attention")(x, x)
    x = layers.GRU(16, name="gru")(x)
    model = keras.Model(inputs, layers.Dense(4, name="head")(x), name="net")
    model.compile("adam", "mse", jit_compile=False)
    before = {weight.path: weight.numpy() for weight in model.weights if weight.name == "bias"}
    pruning = tfopt.Pruning(tfopt.pruning.ConstantSparsity(0.75))
    model.optimizer.learning_rate = 1e-6
    x = np.random.default_rng(0).normal(size=(32, 6, 8)).astype("float32")
    model.fit(x, np.zeros((32, 4)), verbose=0, callbacks=[pruning])
    rows = {row.path: row for row in pruning.report.layers}
    cells = ["both/forward_lstm/lstm_cell", "both/backward_lstm/lstm_cell", "gru/gru_cell"]
    named = [f"{cell}/{weight}" for cell in cells for weight in CELL]
    named += [f"attention/{part}" for part in ("query", "key", "value", "attention_output")]
    assert {path for path, row in rows.items() if row.sparsity is not None} == set(named)
    assert all(rows[path].sparsity == 0.75 for path in named)
    assert pruning.report.zeros > 0.7 * model.count_params()
    for weight in model.weights:
        if weight.name == "bias":
            assert np.sum(weight.numpy() == 0) <= np.sum(before[weight.path] == 0)
