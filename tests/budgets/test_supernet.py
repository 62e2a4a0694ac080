"""`Supernet`: a subnet is the whole model with slices of its weights, and a plain Keras model of its own."""

import keras
import numpy as np
import pytest

from tfopt.budgets import SubnetShape, Supernet
from tfopt.budgets._kernel_sizes import kernel_parts
from tfopt.shrinking import count_macs

LAYERS = keras.layers
SLOW = pytest.mark.slow


def _residual():
    """Two blocks, a kernel of 7 with stride 2, batch norms, a gate whose sigmoid leaves 0.5 behind."""
    inputs = keras.Input((11, 12, 2))
    x = LAYERS.Conv2D(12, 7, strides=2, padding="same", name="stem")(inputs)
    x = LAYERS.ReLU()(LAYERS.BatchNormalization()(x))
    for name in "ab":
        y = LAYERS.DepthwiseConv2D(5, padding="same", name=f"{name}1")(x)
        y = LAYERS.Conv2D(16, 1, activation="relu", name=f"{name}2")(y)
        y = LAYERS.Conv2D(12, 5, padding="same", use_bias=False, name=f"{name}3")(y)
        x = LAYERS.Add(name=f"sum_{name}")([x, LAYERS.BatchNormalization()(y)])
    x = LAYERS.Dense(8, activation="sigmoid", name="gate")(LAYERS.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, LAYERS.Dense(4, activation="softmax", name="head")(x))


def _data(model, count=48):
    rng = np.random.default_rng(0)
    y = np.arange(count) % 4
    x = rng.normal(size=(4, *model.input_shape[1:]))[y] + 0.5 * rng.normal(
        size=(count, *model.input_shape[1:])
    )
    return x.astype("float32"), y


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    model = _residual()
    before = model.get_weights()
    x, y = _data(model)
    supernet = Supernet(model)
    supernet.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = supernet.fit(x, y, batch_size=16, epochs=4, verbose=0).history
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert history["loss"][-1] < history["loss"][0]
    return supernet, (x, y)


SHAPES = {
    "whole": SubnetShape(),
    "narrow": SubnetShape({"a2": 0.25, "gate": 0.5}),
    "a narrow stream": SubnetShape({"stem": 0.5}, blocks={"sum_b": 0.0}),
    "shallow": SubnetShape(blocks={"sum_a": 0.0, "sum_b": 0.0}),
    "small kernels": SubnetShape(kernels={"stem": 3 / 7, "a1": 0.6, "b3": 0.6}),
    "all": SubnetShape({"stem": 0.25, "b2": 0.5}, {}, {"sum_a": 0.0}, {"stem": 5 / 7, "b1": 0.6}),
}


@SLOW
@pytest.mark.parametrize("name", SHAPES)
def test_a_subnet_is_the_masked_supernet(trained, name):
    supernet, (x, _) = trained
    small = supernet.subnet(SHAPES[name])
    np.testing.assert_allclose(
        small.predict(x, verbose=0), supernet.masked(x, SHAPES[name]), atol=2e-6, rtol=1e-5
    )
    whole = supernet.subnet(SubnetShape())
    assert (count_macs(small) < count_macs(whole)) == (name != "whole")
    ours = {id(one) for one in supernet.weights}
    assert type(small).__name__ == "Functional" and not ours & {id(one) for one in small.weights}


@SLOW
@pytest.mark.parametrize("name, part, target", [("macs", 0.5, "litert"), ("bytes", 0.75, "tflm")])
def test_the_best_subnet_is_within_the_budget(trained, name, part, target):
    supernet, data = trained
    loose = supernet.search(data, {name: 1e9}, target=target)
    assert loose.best.shape == SubnetShape() and len(loose.points) == 1
    most = part * loose.best.costs[name]
    found = supernet.search(data, {name: most}, target=target)
    assert found.best.costs[name] <= most and found.best.shape in [point.shape for point in found.points]
    costs = [point.costs[name] for point in found.points]
    assert costs == sorted(costs, reverse=True) and costs[0] > most
    assert "* is within" in str(found) and found.to_dict()["best"]["shape"]
    if name == "macs":
        assert count_macs(supernet.subnet(found.best.shape)) == found.best.costs["macs"]


@SLOW
def test_subnets_learn(trained):
    """The narrowest has learned with the others; four classes."""
    supernet, (x, y) = trained
    smallest = SubnetShape(
        {path: 0.25 for move in supernet.moves if move.field == "channels" for path in move.layers}
    )
    plain = Supernet(_residual(), subnets=0)
    right = [
        np.mean(one.predict(x, verbose=0).argmax(axis=1) == y)
        for one in (supernet.subnet(smallest, x), plain.subnet(smallest, x))
    ]
    assert right[0] > 0.5 > right[1]


def test_a_dense_net_trains_and_is_cut(tmp_path):
    """Without blocks and kernels to change; its outputs are logits, which subnets learn by."""
    keras.utils.set_random_seed(0)
    layers = [LAYERS.Dense(16, activation="relu", name="a"), LAYERS.Dense(8, activation="relu", name="b")]
    model = keras.Sequential([keras.Input((6,)), *layers, LAYERS.Dense(3)])
    supernet = Supernet(model, channels=(0.5, 1.0), subnets=1)
    assert [(move.name, move.values) for move in supernet.moves] == [("a", (0.5,)), ("b", (0.5,))]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    supernet.compile(keras.optimizers.Adam(0.01), loss)
    x = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
    first = supernet.get_weights()
    supernet.fit(x, x[:, :3].argmax(axis=1), batch_size=16, verbose=0)
    assert any(not np.array_equal(a, b) for a, b in zip(first, supernet.get_weights(), strict=True))
    shape = SubnetShape({"a": 0.5})
    small = supernet.subnet(shape)
    assert [layer.units for layer in small.layers[1:]] == [8, 8, 3]
    np.testing.assert_allclose(small(x), supernet.masked(x, shape), atol=1e-6)
    supernet.save_weights(tmp_path / "supernet.weights.h5")
    again = Supernet(model, channels=(0.5, 1.0))
    again.load_weights(tmp_path / "supernet.weights.h5")
    np.testing.assert_array_equal(again.masked(x, shape), supernet.masked(x, shape))
    with pytest.raises(NotImplementedError, match="must be saved as its weights"):
        supernet.save(tmp_path / "supernet.keras")
    for wrong, message in (
        (SubnetShape({"a": 0.3}), r"give 'a' one of \(1.0, 0.5\) as channels. Got 0.3"),
        (SubnetShape(blocks={"c": 0.0}), "what can become smaller as blocks: none. Got 'c'"),
    ):
        with pytest.raises(ValueError, match=message):
            supernet.subnet(wrong)
    nothing = supernet.search(x, {"macs": 1})
    assert nothing.best is None and "No subnet is within 1 macs." in str(nothing)
    with pytest.raises(ValueError, match="'mean_bits', which depends on bits and zeros"):
        supernet.search(x, {"mean_bits": 4})


@pytest.mark.parametrize(
    "settings, parts",
    [
        ({"kernel_size": 5, "padding": "same"}, (0.6,)),
        ({"kernel_size": 7, "padding": "same"}, (5 / 7, 3 / 7)),
        ({"kernel_size": 7, "padding": "same", "strides": 4}, (5 / 7,)),
        ({"kernel_size": 5, "padding": "valid"}, ()),
        ({"kernel_size": (1, 5), "padding": "same"}, ()),
        ({"kernel_size": 3, "padding": "same"}, ()),
    ],
)
def test_kernels_that_have_a_centre(settings, parts):
    assert kernel_parts(LAYERS.Conv2D(4, **settings)) == parts


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"channels": (1.0,)}, "must have something that can become smaller"),
        ({"channels": (1.0, 0)}, r"must hold parts of channels in \(0, 1\]. Got 0"),
        ({"subnets": -1}, "'subnets' argument must be a whole number from 0. Got -1"),
    ],
)
def test_errors(arguments, message):
    model = keras.Sequential([keras.Input((6,)), LAYERS.Dense(8), LAYERS.Dense(3)])
    with pytest.raises(ValueError, match=message):
        Supernet(model, **arguments)
