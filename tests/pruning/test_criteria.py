"""Criteria: values, what they read, and which patterns they go with. A new criterion adds a row to CRITERIA."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tests.pruning.nets import LOSS, drive
from tfopt.pruning import SET, SRSTE, ConstantSparsity, PolynomialDecay, Pruning, RigL, lamp
from tfopt.pruning._criteria import CRITERIA
from tfopt.pruning._find_groups import find_groups
from tfopt.pruning._statistics import Samples, collect

SLOW = pytest.mark.slow


def net() -> keras.Model:
    """Convolution with batch norm, einsum, depthwise, Dense."""
    stack = [
        keras.Input((8, 8, 1)),
        layers.Conv2D(8, 3, strides=2, name="conv"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(),
        layers.EinsumDense("abcd,de->abce", output_shape=(3, 3, 8), name="einsum"),
        layers.BatchNormalization(name="norm_2"),
        layers.DepthwiseConv2D(2, name="depthwise"),
        layers.Flatten(),
        layers.Dense(16, "relu", name="dense"),
        layers.Dense(4, name="head"),
    ]
    model = keras.Sequential(stack, name="net")
    model.compile(keras.optimizers.Adam(0.01), LOSS, jit_compile=False)
    return model


def statistics(model: keras.Model, blobs: Any, *needs: str, where: Any = ".*") -> dict[str, Any]:
    """What is collected for each kernel, by the name of its layer."""
    groups, _ = find_groups(model, where, "unstructured")
    found = collect(needs, groups, model, Samples(blobs), 0)
    return {g.kernels[0].layer.name: found[id(g.kernels[0])] for g in groups}


CASES = [
    (name, pattern)
    for name, criterion in CRITERIA.items()
    for pattern in criterion.patterns or ("unstructured", "channels", "1x4")
]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [case if case[1] == "unstructured" else pytest.param(*case, marks=SLOW) for case in CASES],
)
def test_every_criterion_reaches_the_target(name: str, pattern: str, blobs: Any) -> None:
    model = net()
    pruning = Pruning(
        PolynomialDecay(0.5, 8, frequency=4), "conv|einsum", pattern=pattern, criterion=name, data=blobs
    )
    drive(model, pruning, epochs=2)
    assert pruning.report.sparsity == 0.5
    assert "call" not in vars(model.get_layer("conv"))


@pytest.mark.parametrize("name", ["taylor", pytest.param("wanda", marks=SLOW)])
def test_a_criterion_reads_its_data_while_fit_runs(name: str, blobs: Any) -> None:
    model = net()
    pruning = Pruning(PolynomialDecay(0.5, 8, frequency=4), "conv|einsum", criterion=name, data=blobs)
    model.fit(*blobs, batch_size=32, epochs=1, verbose=0, callbacks=[pruning])
    assert pruning.report.sparsity == 0.5


def test_gradients_are_those_of_the_compiled_loss(blobs: Any) -> None:
    import tensorflow as tf

    model = net()
    x, y = blobs
    found = statistics(model, [(x[:32], y[:32]), (x[32:64], y[32:64])], "gradient", "squared_gradient")
    gradients = []
    for part in (slice(0, 32), slice(32, 64)):
        with tf.GradientTape() as tape:
            loss = LOSS(y[part], model(x[part], training=False))
        gradients.append(tape.gradient(loss, model.get_layer("dense").kernel.value).numpy().copy())
    dense = {name: np.asarray(value) for name, value in found["dense"].items()}
    np.testing.assert_allclose(dense["gradient"][0], np.mean(gradients, axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        dense["squared_gradient"][0], np.mean(np.square(gradients), axis=0), rtol=1e-4, atol=1e-8
    )


def test_input_norms_are_those_of_the_activations(blobs: Any) -> None:
    model = net()
    found = statistics(model, blobs[0], "input_norm")
    for name, shape in {
        "conv": (1, 1, 1),
        "einsum": (1, 8, 1),
        "depthwise": (1, 1, 8),
        "dense": (1, 32, 1),
    }.items():
        values = keras.Model(model.inputs[0], model.get_layer(name).input)(blobs[0]).numpy()
        expected = np.sqrt(np.mean(values**2, axis=tuple(range(values.ndim - 1))))
        assert found[name]["input_norm"].shape == shape
        np.testing.assert_allclose(np.ravel(found[name]["input_norm"]), expected, rtol=1e-4)


def test_batch_norm_removes_the_channels_of_the_smallest_gamma(blobs: Any) -> None:
    model = net()
    gamma = np.array([3, -0.1, 2, 0.2, 5, 0.3, -4, 0.4], "float32")
    model.get_layer("norm").gamma.assign(gamma)
    model.optimizer.learning_rate.assign(0.0)
    pruning = Pruning(ConstantSparsity(0.5), "conv", pattern="channels", criterion="batch_norm")
    model.fit(*blobs, verbose=0, callbacks=[pruning])
    kept = model.get_layer("conv").kernel.numpy().any(axis=(0, 1, 2))
    np.testing.assert_array_equal(kept, np.abs(gamma) > 1)


def test_lamp_orders_as_magnitude_and_does_not_depend_on_scale() -> None:
    weight = np.random.default_rng(0).normal(size=(7, 9)).astype("float32")
    scores = keras.ops.convert_to_numpy(lamp(weight))
    np.testing.assert_array_equal(np.argsort(scores.ravel()), np.argsort(np.abs(weight).ravel()))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(lamp(100 * weight)), scores, rtol=1e-4)
    assert scores.max() == 1.0


def test_a_function_of_the_weight(blobs: Any) -> None:
    model = net()
    before = model.get_layer("dense").kernel.numpy()
    model.optimizer.learning_rate.assign(0.0)
    pruning = Pruning(ConstantSparsity(0.25), "dense", criterion=lambda weight: weight)
    model.fit(*blobs, verbose=0, callbacks=[pruning])
    gone = model.get_layer("dense").kernel.numpy() == 0
    assert before[gone].max() < before[~gone].min()


HALF = ConstantSparsity(0.5)
ERRORS = [
    ({"pattern": "2-4"}, ValueError, r"'pattern'.*Got '2-4' instead"),
    ({"scope": "model"}, ValueError, r"'scope'.*'layer', 'global' or 'erk'. Got 'model' instead"),
    ({"bounds": (0.5, 0.1)}, ValueError, r"'bounds'.*pair \(lowest, highest\).*Got \(0.5, 0.1\) instead"),
    (
        {"bounds": {"conv": 0.5}},
        ValueError,
        r"'bounds'.*a dict from regular expressions.*Got \{'conv': 0.5\}",
    ),
    ({"criterion": "size"}, ValueError, r"'criterion'.*'magnitude', 'lamp'.*Got 'size' instead"),
    (
        {"criterion": "batch_norm"},
        ValueError,
        r"'batch_norm' goes with 'channels'. Got pattern 'unstructured'",
    ),
    ({"criterion": "taylor"}, ValueError, r"'data'.*samples for criterion='taylor'. Got None instead"),
    ({"regrowth": RigL(9)}, ValueError, r"'data'.*samples for regrowth=RigL\(end_step=9.*Got None instead"),
    ({"regrowth": 0.3}, TypeError, r"'regrowth'.*a SET, an SRSTE or None. Got 0.3 instead"),
    (
        {"regrowth": SET(9), "pattern": "2:4"},
        ValueError,
        r"'regrowth'.*an SRSTE or None for pattern '2:4'.*Got SET",
    ),
    (
        {"regrowth": SRSTE(9), "pattern": "channels"},
        ValueError,
        r"'regrowth'.*SRSTE.*for pattern 'channels': what leads to a unit.*both zero",
    ),
    (
        {"regrowth": SRSTE(9), "criterion": "soft_threshold"},
        ValueError,
        r"'criterion'.*'soft_threshold' beside SRSTE.*Use criterion='magnitude'",
    ),
    ({"unit": "epochs"}, ValueError, r"'unit'.*'step' or 'epoch'. Got 'epochs' instead"),
    (
        {"pattern": "2:4", "scope": "erk"},
        ValueError,
        r"'scope'.*'layer' or 'global' for pattern '2:4'. Got 'erk'",
    ),
    (
        {"pattern": "1:4"},
        ValueError,
        r"'schedule'.*must end at 0.75 for pattern '1:4'. Got one that ends at 0.5",
    ),
]


@pytest.mark.parametrize(("options", "error", "message"), ERRORS, ids=[row[2][:40] for row in ERRORS])
def test_bad_options_get_one_clear_sentence(options, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=message):
        Pruning(HALF, **options)


FIT_ERRORS = [
    (
        {"pattern": "heads"},
        r"'pattern'.*suit a layer of model 'net'. Got 'heads', which suits none.*no attention heads",
    ),
    (
        {"pattern": "2:4", "where": "depthwise"},
        r"Got '2:4', which suits none.*depthwise: too small for pattern '2:4'",
    ),
    (
        {"criterion": "taylor", "data": np.zeros((4, 8, 8, 1))},
        r"'data'.*hold targets for gradients. Got inputs only",
    ),
    (
        {"criterion": "batch_norm", "pattern": "channels", "where": "dense"},
        r"'batch_norm' needs a batch norm.*Got 'net/dense' without one",
    ),
    (
        {"criterion": lambda weight: weight[0]},
        r"function that returns scores of its argument's shape.*Got shape",
    ),
    (
        {"schedule": lambda step: 0.7, "pattern": "2:4"},
        r"return at most 0.5 for pattern '2:4'.*Got 0.7 instead",
    ),
]


@pytest.mark.parametrize(("options", "message"), FIT_ERRORS, ids=[row[1][:40] for row in FIT_ERRORS])
def test_what_only_fit_can_see(options, message, blobs) -> None:  # type: ignore[no-untyped-def]
    options = {"schedule": HALF, **options}
    with pytest.raises(ValueError, match=message):
        net().fit(*blobs, verbose=0, callbacks=[Pruning(**options)])
