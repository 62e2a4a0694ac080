"""The promise of shrink: its outputs are those of the original in which the removed channels are zero."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import trained_like
from tests.shrinking.equality import assert_equal, found, masked
from tests.shrinking.nets import CASES, inputs_for, make
from tfopt.channels import PartialLayerNormalization
from tfopt.shrinking import cost, count_macs, cut, keep_ratio, report_of, score


@pytest.mark.parametrize("name", CASES)
def test_outputs_equal_those_of_the_masked_original(name):
    model = make(name)
    x = inputs_for(model)
    before = keras.tree.map_structure(np.array, model(x, training=False))
    channels = found(model)
    kept = keep_ratio(channels, score(channels), 0.5, divisor=1)

    small = cut(channels, kept)

    assert not kept.all()
    original = masked(channels, kept)
    assert_equal(small(x, training=False), original(x, training=False))
    # The test would pass if nothing were removed, or if it did not matter.
    assert small.count_params() < model.count_params()
    with pytest.raises(AssertionError):
        assert_equal(small(x, training=False), before)
    # The user's model is as it was.
    keras.tree.map_structure(np.testing.assert_array_equal, model(x, training=False), before)


# A layer without a bias reads what removed channels leave behind.
GETS_A_BIAS = ("einsum_mixer", "constants")


def added_biases(channels, small):
    before = {
        node.op.name: {weight.name for weight in getattr(node.op, "weights", ())}
        for node in channels.graph.nodes
    }
    return [
        weight
        for layer in small.layers
        for weight in layer.weights
        if weight.name == "bias" and "bias" not in before.get(layer.name, {"bias"})
    ]


@pytest.mark.parametrize("name", CASES)
def test_costs_are_those_predicted(name):
    channels = found(make(name))
    kept = keep_ratio(channels, score(channels), 0.5, divisor=1)
    small = cut(channels, kept)
    report = report_of(channels, kept)

    biases = sum(np.size(bias) for bias in added_biases(channels, small))
    assert small.count_params() == cost(channels, "params")(kept) + biases
    assert report.params[1] == cost(channels, "params")(kept)
    assert (biases > 0) == (name in GETS_A_BIAS)
    assert count_macs(small) == cost(channels, "macs")(kept) == report.macs[1]
    assert report.macs[1] < report.macs[0]


@pytest.mark.parametrize("name", ["residual_chain", "dense_blocks", "attention", "split_and_slice"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=5, deadline=None, database=None)
def test_any_choice_of_channels_equals_its_mask(name, seed):
    keras.utils.set_random_seed(0)
    model = make(name)
    channels = found(model)
    kept = np.random.default_rng(seed).uniform(size=channels.count) < 0.6
    for group in channels.groups:
        kept[group.units[0]] = True
    x = inputs_for(model)
    assert_equal(cut(channels, kept)(x), masked(channels, kept)(x))


@pytest.mark.parametrize(
    "name",
    ["attention", "layer_norm", "rms_norm", "grouped", "channel_shuffle", "recurrent", "into_the_batch"],
)
def test_a_shrunk_model_saves_loads_and_shrinks_again(name, tmp_path):
    model = make(name)
    x = inputs_for(model)
    for _ in range(2):
        channels = found(model)
        kept = keep_ratio(channels, score(channels), 0.7, divisor=1)
        small = cut(channels, kept)
        assert_equal(small(x), masked(channels, kept)(x))
        small.save(tmp_path / "small.keras")
        model = keras.saving.load_model(tmp_path / "small.keras")
        np.testing.assert_array_equal(model(x), small(x))


def test_channels_first_is_cut_as_channels_last():
    """Kernels for channels_first do not run on a CPU: the weights are compared."""

    def build(data_format, shape, axis):
        options = {"data_format": data_format}
        x = inputs = keras.Input(shape)
        for filters in (8, 12):
            x = keras.layers.Conv2D(filters, 3, padding="same", **options)(x)
            x = keras.layers.ReLU()(keras.layers.BatchNormalization(axis=axis)(x))
            x = keras.layers.DepthwiseConv2D(3, depth_multiplier=2, **options)(x)
        x = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D(**options)(x))
        return keras.Model(inputs, x)

    last, first = build("channels_last", (8, 8, 3), -1), build("channels_first", (3, 8, 8), 1)
    first.set_weights(last.get_weights())
    cuts = []
    for model in (last, first):
        channels = found(model)
        cuts.append(cut(channels, keep_ratio(channels, score(channels), 0.5, divisor=1)))
    for one, other in zip(*(small.get_weights() for small in cuts), strict=True):
        np.testing.assert_array_equal(one, other)
    assert cuts[0].count_params() < last.count_params()


def test_flattened_channels_first_stay():
    inputs = keras.Input((8, 4, 4))
    x = keras.layers.BatchNormalization(axis=1)(
        keras.layers.Permute((3, 1, 2))(keras.layers.Dense(6)(inputs))
    )
    x = keras.layers.Dense(2)(keras.layers.Flatten(data_format="channels_first")(x))
    channels = found(keras.Model(inputs, x))
    assert channels.count == 0 and "channels_first" in next(iter(channels.reasons.values()))


def test_partial_layer_norm_needs_room():
    with pytest.raises(ValueError, match="'channels' argument of 'norm' must be at least"):
        PartialLayerNormalization(channels=3, name="norm").build((None, 4))
    layer = PartialLayerNormalization.from_config(
        PartialLayerNormalization(channels=5, epsilon=0.1).get_config()
    )
    assert (layer.channels, layer.epsilon) == (5, 0.1)


@pytest.mark.parametrize(
    ("size", "options", "removable"),
    [
        (8, {}, True),  # the sum over the borders is a number of its own, which the Dense takes
        (None, {}, False),  # it depends on the size of the image
        (None, {"padding": "valid"}, True),
    ],
)
def test_numbers_that_depend_on_an_open_size_stay(size, options, removable):
    inputs = keras.Input((size, size, 3))
    x = keras.layers.Conv2D(4, 1, activation="sigmoid")(inputs)
    x = keras.layers.DepthwiseConv2D(3, **{"padding": "same", **options})(x)
    x = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    model = trained_like(keras.Model(inputs, x))
    channels = found(model)
    assert channels.count == (4 if removable else 0)
    if removable:
        kept = np.array([True, False, True, False])
        x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
        assert_equal(cut(channels, kept)(x), masked(channels, kept)(x))


def test_channels_that_would_be_divided_by_stay():
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(6, name="hidden")(inputs)
    x = keras.layers.Dense(2)(keras.layers.Dense(6)(inputs) / hidden)
    channels = found(keras.Model(inputs, x))
    assert channels.count == 0
    assert any("reads infinity" in reason for reason in channels.reasons.values())
