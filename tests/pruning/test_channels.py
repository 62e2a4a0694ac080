"""Pruning(pattern="channels") makes zero what shrink can remove; shrink then removes just that, and nothing changes."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tests.pruning.nets import drive
from tests.shrinking.equality import assert_equal
from tests.shrinking.nets import inputs_for, make
from tests.shrinking.random_graphs import random_model
from tfopt.pruning import ConstantSparsity, PolynomialDecay, Pruning, apply_mask
from tfopt.pruning._coupled import coupled_groups
from tfopt.pruning._scores import spread
from tfopt.pruning._targets import find_targets, path_of
from tfopt.shrinking import shrink

SLOW = pytest.mark.slow
# A row for each way in which channels meet.
NETS = (
    "residual_chain",
    "dense_blocks",
    "depthwise_multiplier",
    "grouped",
    "squeeze_and_excitation",
    "flatten_dense",
    "shared_layer",
    "split_and_slice",
    "partial_block",
    "attention",
    "grouped_queries",
)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)


def compiled(name: str) -> keras.Model:
    model = make(name)
    model.compile(keras.optimizers.SGD(1e-3), "mse", jit_compile=False)
    return model


def prune(model: keras.Model, by_fit: bool, schedule: Any = None, **options: Any) -> Pruning:
    """Every kernel that makes channels, by noise or by training."""
    where = lambda layer: not isinstance(layer, DEPTHWISE)  # noqa: E731
    pruning = Pruning(schedule or ConstantSparsity(0.5), where, pattern="channels", **options)
    if by_fit:
        x = inputs_for(model, 16)
        y = keras.tree.map_structure(lambda tensor: np.zeros((16, *tensor.shape[1:])), model.outputs[0])
        model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[pruning])
    else:
        drive(model, pruning, epochs=1, steps=4)
    return pruning


@pytest.mark.parametrize(
    ("name", "by_fit"),
    [
        *((name, name == "residual_chain") for name in NETS),
        *(pytest.param(name, True, marks=SLOW) for name in NETS if name != "residual_chain"),
    ],
)
def test_shrink_removes_just_what_pruning_zeroed(name: str, by_fit: bool) -> None:
    model = compiled(name)
    pruning = prune(model, by_fit)
    x = inputs_for(model)
    small = shrink(model, channels="zero", divisor=1)
    assert_equal(small(x, training=False), model(x, training=False))
    assert small.count_params() < model.count_params()
    sparsities = {row.path: row.sparsity for row in pruning.report.layers}
    for row in small.report.layers:
        if not row.reason:
            assert row.after == round((1 - sparsities[row.path]) * row.before), row
    assert sum(not row.reason for row in small.report.layers) > 1
    # Nothing is left to remove.
    assert shrink(small, channels="zero", divisor=1).count_params() == small.count_params()


@pytest.mark.parametrize(
    "options",
    [
        {"scope": "global"},
        {"scope": "erk"},
        {"criterion": "batch_norm", "where": "^(conv2d|conv2d_2|conv2d_4)$"},
    ],
)
def test_scopes_and_criteria_see_the_layers_of_a_residual_stream_as_one(options: dict[str, Any]) -> None:
    keras.backend.clear_session()
    model = compiled("residual_chain")
    where = options.pop("where", "conv")
    pruning = Pruning(PolynomialDecay(0.5, 3, frequency=1), where, pattern="channels", **options)
    drive(model, pruning, epochs=1, steps=4)
    zero = [
        ~model.get_layer(name).kernel.numpy().any((0, 1, 2)) for name in ("conv2d", "conv2d_2", "conv2d_4")
    ]
    assert zero[0].any() and np.array_equal(zero[0], zero[1]) and np.array_equal(zero[0], zero[2])
    x = inputs_for(model)
    assert_equal(shrink(model, channels="zero", divisor=1)(x), model(x))


def test_a_layer_that_goes_with_a_dense_one_stays_dense() -> None:
    keras.backend.clear_session()
    model = compiled("residual_chain")
    pruning = Pruning(ConstantSparsity(0.5), "conv2d_[123]", pattern="channels")
    drive(model, pruning, epochs=1, steps=4)
    reasons = {row.path: row.reason for row in pruning.report.layers}
    assert reasons["conv2d_2"] == "its channels are coupled with those of conv2d, which stays dense"
    assert model.get_layer("conv2d_2").kernel.numpy().all() and reasons["conv2d_1"] is None


@pytest.mark.slow
def test_shrink_removes_what_pruning_masks_in_random_networks() -> None:
    """The masks of the callback's groups, drawn at random: no group keeps a channel that is zero."""
    removed = 0
    for seed in range(40):
        model, rng = random_model(seed), np.random.default_rng(seed)
        targets, _ = find_targets(
            model, lambda layer: not isinstance(layer, DEPTHWISE) and layer.name != "head"
        )
        groups, _, rest = coupled_groups(model, targets)
        for group in groups:
            units = rng.uniform(size=group.unit_count) < 0.5
            units[0] = True
            for member in group.members:
                mask = spread(group, member, keras.ops.convert_to_tensor(units))
                member.variable.assign(apply_mask(member.variable, mask))
        mine = {id(member.variable) for group in groups for member in group.kernels}
        if not mine - {id(target.variable) for target in rest}:
            continue
        small = shrink(model, channels="zero", divisor=1)
        x = rng.normal(size=(3, *model.input_shape[1:])).astype("float32")
        assert_equal(small(x), model(x))
        for row in small.report.layers:
            assert "leave" not in row.reason or any(row.path == path_of(target.layer) for target in rest)
            removed += row.before - row.after
    assert removed > 100


def test_a_quantized_model_shrinks_to_what_is_not_zero() -> None:
    model = compiled("quantized")
    prune(model, by_fit=False)
    x = inputs_for(model)
    small = shrink(model, channels="zero", divisor=1)
    assert small.count_params() < model.count_params()
    assert_equal(small(x), model(x))
