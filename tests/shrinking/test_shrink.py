"""The call: budgets, criteria, rounding, reports and errors."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import tfopt
from tests.shrinking.equality import assert_equal
from tests.shrinking.nets import inputs_for, make, wide
from tfopt.channels import channel_groups
from tfopt.graph import capture
from tfopt.shrinking import cost, count_macs, keep_nonzero, keep_ratio, keep_within, per_saving, score, shrink


def find(model: keras.Model):
    return channel_groups(capture(model))


@pytest.mark.parametrize("budget", ["params", "macs", "bytes"])
@pytest.mark.parametrize("part", [0.7, 0.3])
def test_what_is_left_is_within_the_budget_and_uses_it(budget, part):
    model = wide()
    small = shrink(model, **{budget: part})
    before, after = getattr(small.report, budget)
    assert 0.8 * part * before < after <= part * before
    # The same as a count instead of a part.
    again = shrink(model, **{budget: int(part * before)})
    assert getattr(again.report, budget) == (before, after)


def test_report_counts_are_the_models():
    model = wide()
    small = shrink(model, channels=0.5)
    assert small.report.params == (model.count_params(), small.count_params())
    assert small.report.macs == (count_macs(model), count_macs(small))
    rows = {row.path: (row.before, row.after, row.reason) for row in small.report.layers}
    assert rows["first"] == (64, 32, "")
    assert rows["head"] == (10, 10, "the model returns these channels")
    assert "multiply-accumulates: " in str(small.report)


def test_report_names_the_layers_that_go_together():
    small = shrink(make("residual_chain"), channels=0.5, divisor=1)
    first = small.report.layers[0]
    assert len(first.group) == 2 and first.after == 4


def test_report_says_why_channels_stay():
    reasons = {row.path: row.reason for row in shrink(make("not_followed"), channels=0.5).report.layers}
    assert any("could not be opened: RNN loops over time" in reason for reason in reasons.values())
    reasons = {row.path: row.reason for row in shrink(wide(), channels=0.5, where="first").report.layers}
    assert reasons["second"] == "not selected by where="


def test_report_is_never_silent_about_a_layer_left_whole():
    small = shrink(wide(8), macs=0.9, divisor=8)
    rows = {row.path: row for row in small.report.layers}
    assert rows["first"].reason == "it has no more channels than divisor=8" and rows["second"].after == 8
    inputs = keras.Input((8, 8, 3))
    x = layers.GroupNormalization(2, name="norm")(layers.Conv2D(8, 3, name="conv")(inputs))
    x = layers.Conv2D(8, 3, groups=4)(layers.Conv2D(8, 3)(x))
    x = layers.Conv2D(4, 1)(layers.Conv2D(6, 1, groups=2, name="pair")(layers.Conv2D(2, 1, name="two")(x)))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    for row in shrink(model, channels=0.5, divisor=1).report.layers:
        assert row.after < row.before or row.reason
    rows = {row.path: row for row in shrink(model, channels="zero", divisor=1).report.layers}
    assert rows["conv"].reason == "too few of its filters are zero to remove any"
    rows = shrink(wide(), params=0.99).report.layers
    assert any(row.reason == "its channels score higher than those removed" for row in rows)


def test_where_takes_a_function():
    small = shrink(wide(), channels=0.5, where=lambda layer: layer.name == "second")
    assert small.get_layer("first").filters == 64 and small.get_layer("second").filters == 64


def test_single_layers_have_parts_of_their_own():
    small = shrink(wide(), channels={"first": 0.25})
    assert small.get_layer("first").filters == 16 and small.get_layer("second").filters == 128
    model = make("residual_chain")
    first = model.layers[1].name
    rows = {row.path: row for row in shrink(model, channels={first: 0.5}, divisor=1).report.layers}
    together = {first, *rows[first].group}
    assert len(together) == 3
    assert {path for path, row in rows.items() if row.after < row.before} == together


@given(ratio=st.floats(0.01, 0.99), units=st.integers(1, 70), divisor=st.sampled_from([1, 4, 8, 16]))
@settings(max_examples=30, deadline=None, database=None)
def test_counts_are_multiples_but_never_above_what_there_is(ratio, units, divisor):
    channels = find(keras.Sequential([keras.Input((2,)), layers.Dense(units), layers.Dense(1)]))
    kept = int(keep_ratio(channels, np.arange(float(units)), ratio, divisor).sum())
    nearest = kept % divisor == 0 and (kept == divisor or abs(kept - ratio * units) <= divisor / 2)
    assert 1 <= kept <= units and (nearest or kept == units)


@pytest.mark.parametrize(
    ("parts", "budget", "divisor"),
    [
        ((8, 8), {"channels": 0.5}, 8),
        ((6, 10), {"channels": 0.5}, 8),
        ((6, 10), {"macs": 0.6}, 4),
        ((12, 20), {"channels": 0.5}, 8),
        ((12, 20), {"macs": 0.6}, 8),
        ((12, 20), {"macs": 0.6}, 1),
    ],
)
def test_a_layer_whose_channels_part_has_a_multiple_too(parts, budget, divisor):
    """Before, a layer of 16 channels in two groups ended at 14 or 12 with divisor=8."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(sum(parts), 3, padding="same")(inputs)
    left, right = x[..., : parts[0]], x[..., parts[0] :]
    right = layers.Add()([right, layers.Conv2D(parts[1], 3, padding="same")(right)])
    x = layers.Conv2D(32, 3)(layers.ReLU()(layers.Concatenate()([left, right])))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    for row in shrink(model, **budget, divisor=divisor).report.layers:
        assert row.after % divisor == 0 or row.after == row.before
        assert row.after < row.before or row.reason
        if row.reason.startswith("no smaller number"):
            assert divisor == 8 and parts != (12, 20)


def test_heads_count_with_their_size():
    inputs = keras.Input((6, 8))
    x = layers.MultiHeadAttention(4, 4, name="attention")(inputs, inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    small = shrink(model, channels=0.5, where="attention/(query|key|value)", divisor=8)  # 2 heads of 4 make 8
    row = next(row for row in small.report.layers if row.path.endswith("query"))
    assert (row.before, row.after) == (16, 8)


@given(part=st.floats(0.2, 0.99))
@settings(max_examples=20, deadline=None, database=None)
def test_global_ranking_removes_the_lowest_scores(part):
    channels = find(wide(16))
    scores = np.random.default_rng(0).uniform(size=channels.count)
    count = cost(channels, "params")
    budget = part * count(np.ones(channels.count, bool))
    kept = keep_within(channels, scores, count, budget, divisor=1)
    assert count(kept) <= budget
    for group in channels.groups:
        here, left = scores[group.units], kept[group.units]
        assert left.sum() >= 0.1 * len(left)
        assert left.all() or here[~left].max() < here[left].min()
    # Over all groups too, but for the tenth that stays: part >= 0.2 is reached before that.
    assert kept.all() or scores[~kept].max() < scores[kept].min() or part < 0.3


@pytest.mark.parametrize("divisor", [1, 8])
def test_zero_removes_just_the_dead_channels(divisor):
    """As after Pruning(pattern="channels"): the filters are zero, and so are biases here."""
    model = wide()
    dead = np.arange(24)
    for name in ("first", "second"):
        layer = model.get_layer(name)
        values = [np.array(weight) for weight in layer.weights]
        for value in values:
            value[..., dead] = 0.0
        layer.set_weights(values)
    norm = model.get_layer("norm")
    norm.set_weights([np.where(np.arange(64) < 24, 0.0, w) for w in norm.get_weights()])
    x = inputs_for(model)
    small = shrink(model, channels="zero", divisor=divisor)
    assert small.get_layer("first").filters == 40 and small.get_layer("second").filters == 104
    assert_equal(small(x), model(x))


def test_zero_rounds_up_with_zero_channels():
    channels = find(wide())
    scores = np.ones(channels.count)
    scores[channels.groups[0].units[:3]] = 0.0
    assert keep_nonzero(channels, scores, 8).all()
    assert keep_nonzero(channels, scores, 1).sum() == channels.count - 3


CRITERIA = {
    "magnitude": "magnitude",
    "batch_norm": "batch_norm",
    "random": "random",
    "squares": lambda weight: weight**2,
}


@pytest.mark.parametrize("name", CRITERIA)
def test_each_criterion_selects(name):
    model = wide(16)
    model.get_layer("norm").gamma.assign(np.arange(1.0, 17.0))
    small = shrink(model, channels=0.5, criterion=CRITERIA[name], divisor=1)
    assert small.get_layer("first").filters == 8
    if name == "batch_norm":
        np.testing.assert_array_equal(small.get_layer("norm").gamma, np.arange(9.0, 17.0))
        # Nothing scales the second convolution's channels.
        assert small.get_layer("second").filters == 32


def test_taylor_keeps_what_the_loss_needs():
    inputs = keras.Input((4,))
    hidden = layers.Dense(4, name="hidden", use_bias=False)
    head = layers.Dense(1, use_bias=False)
    model = keras.Model(inputs, head(hidden(inputs)))
    hidden.set_weights([np.eye(4) * [1.0, 1.0, 9.0, 1.0]])
    head.set_weights([np.array([[1.0], [1.0], [0.0], [2.0]])])  # the third is large but nobody reads it
    model.compile(loss="mse")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    scores = score(find(model), "taylor", model, (x, np.zeros((64, 1), "float32")))
    assert scores[2] == 0.0 and np.argmax(scores) == 3
    # One weight each: d loss / d w = mean over the batch, computed by hand for the fourth.
    batches = [x[:32].astype("float64"), x[32:].astype("float64")]
    read = np.array([1.0, 1.0, 0.0, 2.0])
    gradients = [(2 * (b @ read) * 2.0 * b[:, 3]).mean() for b in batches]
    np.testing.assert_allclose(scores[3], np.mean(np.square(gradients)), rtol=1e-4)
    small = shrink(model, channels=0.75, criterion="taylor", data=(x, x[:, :1]), divisor=1)
    assert 9.0 not in np.asarray(small.get_layer("hidden").kernel)


def test_taylor_weighs_the_loss_against_what_is_saved():
    """At first a channel costs 64 times as many MACs as behind the pooling, and matters twice as much."""
    inputs = keras.Input((16, 16, 8))
    x = layers.Conv2D(16, 3, padding="same", name="early")(inputs)
    x = layers.AveragePooling2D(8)(layers.Conv2D(8, 3, padding="same")(x))
    x = layers.Conv2D(16, 3, padding="same", name="late")(x)
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(x)))
    channels = find(model)
    early, _, late = channels.groups
    scores = np.full(channels.count, np.inf)
    scores[early.units], scores[late.units] = 2.0, 1.0
    macs = cost(channels, "macs")
    budget = 0.8 * macs(np.ones(channels.count, bool))
    kept = keep_within(channels, per_saving(channels, scores, macs), macs, budget, divisor=1)
    assert kept[late.units].all() and not kept[early.units].all()
    kept = keep_within(channels, scores, macs, budget, divisor=1)
    assert not kept[late.units].all()

    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 16, 16, 8)).astype("float32"), rng.normal(size=(32, 1))
    rows = {row.path: row for row in shrink(model, macs=0.8, criterion="taylor", data=(x, y)).report.layers}
    assert rows["early"].after < 16 and rows["late"].after == 16


@pytest.mark.slow
def test_latency_budget_is_met_on_litert():
    from tfopt._int8_latency import int8_latency

    model = wide(96)
    dense = int8_latency(model)
    small = tfopt.shrink(model, latency=0.5 * dense)
    assert int8_latency(small) < 0.7 * dense  # timings of a busy machine


@pytest.mark.slow
@pytest.mark.parametrize("units", [32, 128])
def test_estimated_bytes_are_those_of_the_file(units, tmp_path):
    import tfopt

    model = wide(units)
    x = inputs_for(model, 16)
    small = shrink(model, channels=0.5)
    for net, expected in zip((model, small), small.report.bytes, strict=True):
        tfopt.export(tfopt.quantize(net, x), tmp_path / "model.tflite")
        np.testing.assert_allclose((tmp_path / "model.tflite").stat().st_size, expected, rtol=0.1)


@pytest.mark.parametrize(
    ("name", "maker", "units", "width"),
    [
        ("attention_by_hand", "dense_1", 4, 12),  # four heads; query, key and value of size 4 each
        ("attention", "multi_head_attention/query", 4, 3),
        ("grouped_queries", "grouped_query_attention/key", 4, 8),
        ("grouped", "conv2d_1", 4, 3),
        ("channel_shuffle", "conv2d", 6, 2),  # one channel of both halves
        ("flatten_dense", "conv2d", 6, 1),
    ],
)
def test_what_goes_together(name, maker, units, width):
    keras.backend.clear_session()  # names are counted from the first layer
    groups = [group for group in find(make(name)).groups if maker in group.makers]
    assert [(len(group.units), group.width) for group in groups] == [(units, width)]
