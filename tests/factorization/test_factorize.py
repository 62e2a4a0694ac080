"""Factors: at full rank they compute what the layer computes, at less what was asked for, and only where cheaper."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import tfopt
from tfopt.factorization._decompositions import low_rank, product, rank_of, spectrum, tucker, unfolded

# Layer -> (the shape of its input without the batch, its full ranks).
LAYERS = {
    "Dense": (lambda: layers.Dense(7, "relu"), (5, 6), (6,)),
    "Dense without bias": (lambda: layers.Dense(4, use_bias=False), (6,), (4,)),
    "EinsumDense": (lambda: layers.EinsumDense("abc,cde->abde", (None, 2, 5), bias_axes="de"), (3, 6), (6,)),
    "EinsumDense of two axes": (
        lambda: layers.EinsumDense("abcd,cde->abe", (None, 9), "tanh", bias_axes="e"),
        (3, 2, 4),
        (8,),
    ),
    "EinsumDense with an ellipsis": (lambda: layers.EinsumDense("...c,cd->...d", 5), (2, 3, 6), (5,)),
    "EinsumDense that moves axes": (lambda: layers.EinsumDense("abc,cd->adb", (5, None)), (3, 6), (5,)),
    "Embedding": (lambda: layers.Embedding(9, 5), (4,), (5,)),
    "Conv1D": (lambda: layers.Conv1D(6, 3, padding="causal", dilation_rate=2), (9, 5), (5, 6)),
    "Conv2D": (
        lambda: layers.Conv2D(6, (3, 2), strides=2, padding="same", activation="relu"),
        (9, 8, 5),
        (5, 6),
    ),
    "Conv2D of one input": (lambda: layers.Conv2D(6, 3), (9, 8, 1), (1, 6)),
    "pointwise Conv2D": (lambda: layers.Conv2D(6, 1, strides=2, activation="relu"), (9, 8, 5), (5,)),
    "Conv3D": (lambda: layers.Conv3D(4, 2, use_bias=False), (4, 4, 4, 3), (3, 4)),
}


def random_weights(model: keras.Model) -> keras.Model:
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape).astype("float32") for w in model.weights])
    return model


def inputs_for(model: keras.Model, samples: int = 3) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.integers(0, 9, (samples, *model.input_shape[1:])).astype(model.inputs[0].dtype)


def close(small: keras.Model, model: keras.Model) -> bool:
    x = inputs_for(model)
    got, expected = small.predict(x, verbose=0), model.predict(x, verbose=0)
    return np.allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.fixture(scope="module")
def net() -> keras.Model:
    """All layers of the table in one model, each with an input of its own."""
    ends = {
        name: keras.Input(shape, dtype="int32" if name == "Embedding" else None)
        for name, (_, shape, _) in LAYERS.items()
    }
    outputs = []
    for (name, x), (make, _, _) in zip(ends.items(), LAYERS.values(), strict=True):
        layer = make()
        layer.name = name.replace(" ", "_")
        outputs.append(layer(x))
    return random_weights(keras.Model(list(ends.values()), outputs))


@pytest.mark.parametrize("seen", [False, True], ids=["kernels alone", "with samples"])
def test_full_rank_computes_the_same(net, seen):
    ranks = {name.replace(" ", "_"): row[2] for name, row in LAYERS.items()}
    rng = np.random.default_rng(0)
    x = [rng.integers(0, 9, (3, *t.shape[1:])).astype(t.dtype) for t in net.inputs]
    full = tfopt.factorize(net, ranks=ranks, calibration=x if seen else None)
    for name, got, expected in zip(
        LAYERS, full.predict(x, verbose=0), net.predict(x, verbose=0), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max(), err_msg=name)
    rows = full.report.layers
    assert {row.path: row.ranks for row in rows} == ranks
    assert all(row.error < 1e-6 and not row.reason for row in rows)
    assert full.report.params == (net.count_params(), full.count_params())
    parts = tfopt.factorize(net, ranks=dict.fromkeys(ranks, 0.5)).report.layers
    assert {row.path: row.ranks for row in parts} == {
        path: tuple(max(1, rank // 2) for rank in full) for path, full in ranks.items()
    }
    assert sum(row.after - row.before for row in rows) == full.count_params() - net.count_params()


def low_rank_net(rank: int = 3) -> keras.Model:
    """Kernels of rank 3, but for the last one."""
    rng = np.random.default_rng(0)
    x = image = keras.Input((8, 8, 16))
    x = layers.Conv2D(24, 3, padding="same", activation="relu", name="conv")(x)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Conv2D(24, 3, groups=2, name="grouped")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(40, activation="relu", name="dense")(x)
    model = random_weights(keras.Model(image, layers.Dense(4, name="logits")(x), name="net"))
    dense, conv = model.get_layer("dense").kernel, model.get_layer("conv").kernel
    dense.assign(rng.normal(size=(dense.shape[0], rank)) @ rng.normal(size=(rank, dense.shape[1])))
    conv.assign(product([rng.normal(size=size) for size in ((16, rank), (3, 3, rank, rank), (rank, 24))]))
    return model


@pytest.fixture(scope="module")
def low() -> keras.Model:
    return low_rank_net()


def test_energy_finds_the_rank_and_reasons_are_named(low):
    small = tfopt.factorize(low, energy=1 - 1e-9)
    rows = {row.path: row for row in small.report.layers}
    assert (rows["conv"].ranks, rows["dense"].ranks) == ((3, 3), (3,))
    assert close(small, low)
    assert {path: row.reason for path, row in rows.items() if row.reason} == {
        "depthwise": "DepthwiseConv2D has no factors",
        "grouped": "its groups of channels are apart",
        "logits": "its factors are not cheaper",
    }
    assert rows["conv"].after == 16 * 3 + 9 * 9 + 3 * 24
    assert "conv" in str(small.report) and max(map(len, str(small.report).splitlines())) <= 80
    assert [layer.name for layer in small.layers if layer.name.startswith("conv")] == [
        "conv_inputs",
        "conv_core",
        "conv",
    ]


@pytest.mark.parametrize(
    ("ranks", "names"),
    [((3, 24), ["conv_inputs", "conv"]), ((16, 3), ["conv_core", "conv"]), ((16, 24), ["conv"])],
)
def test_a_matrix_of_full_rank_is_left_out(ranks, names, low):
    small = tfopt.factorize(low, ranks={"conv": ranks})
    assert [layer.name for layer in small.layers if layer.name.startswith("conv")] == names
    assert close(small, low)  # whose rank is 3
    row = next(row for row in small.report.layers if row.ranks)
    assert small.count_params() - low.count_params() == row.after - row.before


@pytest.mark.parametrize("budget", [{"params": 0.4}, {"macs": 0.5}, {"bytes": 0.5}, {"params": 12_000}])
def test_a_budget_is_kept_and_used(budget):
    model = random_weights(low_rank_net())
    small = tfopt.factorize(model, **budget)
    ((name, amount),) = budget.items()
    before, after = {"params": small.report.params, "macs": small.report.macs}.get(name, (1, 0.4))
    limit = amount * before if amount < 1 else amount
    assert 0.8 * limit <= after <= limit, (after, limit)
    assert small.report.params == (model.count_params(), small.count_params())
    assert small.report.macs == (tfopt.count_macs(model), tfopt.count_macs(small))


def test_a_shared_layer_has_shared_factors_and_attention_is_opened():
    image = keras.Input((6, 16))
    shared = layers.Dense(16, name="shared")
    x = layers.MultiHeadAttention(2, 8, name="attention")(image, image)
    model = random_weights(keras.Model(image, shared(layers.ReLU()(shared(x)))))
    small = tfopt.factorize(model, ranks={"shared": 16})
    assert close(small, model)
    (row,) = (row for row in small.report.layers if row.ranks)
    assert row.path == "shared" and len(small.report.layers) == 5
    assert small.count_params() == model.count_params() + 16 * 16
    budget = tfopt.factorize(model, macs=0.7)
    assert budget.report.macs[1] <= 0.7 * budget.report.macs[0]


@pytest.mark.parametrize("name", ["Dense", "EinsumDense of two axes", "Conv1D", "Conv2D", "pointwise Conv2D"])
def test_samples_in_two_directions_keep_their_outputs_at_rank_two(name):
    make, shape, full = LAYERS[name]
    layer = make()
    layer.name = "layer"
    model = random_weights(keras.Sequential([keras.Input(shape), layer]))
    rng = np.random.default_rng(2)
    directions = shape[-2:] if name == "EinsumDense of two axes" else shape[-1:]
    x = rng.normal(size=(64, *shape[: -len(directions)], 2)) @ rng.normal(size=(2, np.prod(directions)))
    x = x.reshape(64, *shape).astype("float32")
    ranks = (2,) if len(full) == 1 else (2, full[1])
    exact, errors = model.predict(x, verbose=0), []
    for calibration in (None, x):
        small = tfopt.factorize(model, ranks={"layer": ranks}, calibration=calibration)
        errors.append(np.linalg.norm(small.predict(x, verbose=0) - exact) / np.linalg.norm(exact))
    assert errors[1] < 0.03 and errors[1] < 0.1 * errors[0], errors


@settings(deadline=None)
@given(m=st.integers(1, 12), n=st.integers(1, 12), seed=st.integers(0, 99))
def test_the_truncated_product_is_the_closest_of_its_rank(m, n, seed):
    matrix = np.random.default_rng(seed).normal(size=(m, n))
    singular = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(np.sqrt(spectrum(matrix)), singular, atol=1e-6)
    for rank in range(1, min(m, n) + 1):
        error = np.linalg.norm(matrix - product(low_rank(matrix, rank)))
        np.testing.assert_allclose(error, np.linalg.norm(singular[rank:]), atol=1e-6)
        assert rank_of(singular**2, (singular[:rank] ** 2).sum() / (singular**2).sum()) == rank


@settings(deadline=None)
@given(shape=st.tuples(*[st.integers(1, 5)] * 4), seed=st.integers(0, 99))
def test_tucker_is_exact_at_full_ranks_and_bounded_below(shape, seed):
    kernel = np.random.default_rng(seed).normal(size=shape)
    spectra = [spectrum(unfolded(kernel, axis)) for axis in (-2, -1)]
    full = tuple(map(len, spectra))
    np.testing.assert_allclose(product(tucker(kernel, *full)), kernel, atol=1e-6)
    ranks = tuple(max(1, rank // 2) for rank in full)
    error = np.linalg.norm(kernel - product(tucker(kernel, *ranks))) ** 2
    # De Lathauwer et al. 2000: no more than the energy that both unfoldings leave out.
    assert error <= sum(squares[rank:].sum() for squares, rank in zip(spectra, ranks, strict=True)) + 1e-6


def test_a_zero_kernel_has_rank_one():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(8, kernel_initializer="zeros")])
    small = tfopt.factorize(model, energy=0.9)
    assert small.report.layers[0].ranks == (1,) and close(small, model)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "exactly one of energy, params, macs, bytes, latency and ranks. Got none"),
        ({"energy": 0.5, "params": 0.5}, "Got energy=0.5 and params=0.5"),
        ({"energy": 1.5}, "'energy' argument must be a part in"),
        ({"params": -1}, "'params' argument must be a part in .0, 1., or a count"),
        ({"params": True}, "'params' argument must be a part"),
        ({"params": 10}, r"'params' argument must leave at least [\d,]+, what rank 1 in every layer costs"),
        (
            {"ranks": {"none": 2}},
            "'ranks' argument must name layers that have factors: conv, dense, logits. Got 'none'",
        ),
        ({"ranks": {"conv": 2}}, "must give 'conv' 2 whole numbers, at most 16 and 24. Got 2"),
        ({"ranks": {"dense": 2.5}}, "must give 'dense' 1 whole number, at most 40. Got 2.5"),
        ({"ranks": {"dense": 99}}, "must give 'dense' 1 whole number, at most 40. Got 99"),
        (
            {"energy": 0.5, "where": "depth"},
            "must have a layer that has factors. Got none: .*'where' does not select it",
        ),
    ],
)
def test_errors_teach(arguments, words, low):
    with pytest.raises(ValueError, match=words):
        tfopt.factorize(low, **arguments)


def test_a_quantized_model_is_refused_and_the_result_is_quantized():
    model = random_weights(keras.Sequential([keras.Input((16,)), layers.Dense(16, name="dense")]))
    x = np.random.default_rng(0).normal(size=(8, 16)).astype("float32")
    with pytest.raises(ValueError, match=r"Got a quantized one\. Factorize the model that it was made from"):
        tfopt.factorize(tfopt.quantize(model, x), energy=0.5)
    small = tfopt.factorize(model, ranks={"dense": 4})
    assert [row.weight_bits for row in tfopt.quantize(small, x).report.layers] == [8, 8]
