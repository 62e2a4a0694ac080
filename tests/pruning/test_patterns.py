"""Patterns x scopes on kernels of any shape, without training. A new pattern adds a row to PATTERNS and STRUCTURE."""

import math
from collections.abc import Sequence

import keras
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from keras import layers, ops

from tfopt.pruning import Layout, NofM, erk_densities, layout_of, parse_pattern, regrow_mask, unit_mask
from tfopt.pruning._criteria import CRITERIA
from tfopt.pruning._group import Group, Member
from tfopt.pruning._scores import spread
from tfopt.pruning._select import choose_units

PATTERNS = ["unstructured", "1x4", "4x1", "1x16", "3x5", "channels", "2:4", "1:3", "4:8"]

seeds = st.integers(0, 2**32 - 1)
kernel_shapes = st.one_of(
    st.tuples(st.integers(1, 20), st.integers(2, 20)),
    st.tuples(st.sampled_from([1, 3]), st.sampled_from([1, 3]), st.integers(1, 9), st.integers(2, 9)),
)


def group_of(pattern: str, weight: np.ndarray) -> Group:
    """A group of one kernel, of Dense or Conv2D, that is not part of a model."""
    layer = layers.Dense(1) if weight.ndim == 2 else layers.Conv2D(1, 1)
    variable = keras.Variable(weight.astype("float32"))
    return Group(parse_pattern(pattern), (Member(layer, variable, layout_of(layer, variable)),))


def random_groups(shapes: Sequence[tuple[int, ...]], pattern: str, seed: int) -> list[Group]:
    """Groups of kernels in which some weights are equal."""
    rng = np.random.default_rng(seed)
    return [group_of(pattern, rng.normal(size=shape).round(1)) for shape in shapes]


def masks_of(groups: Sequence[Group], sparsity: float, scope: str, bounds=(0.0, 1.0)) -> list[np.ndarray]:
    """The masks of the kernels."""
    units = choose_units(groups, CRITERIA["magnitude"], {}, sparsity, scope, bounds)
    pairs = zip(groups, units, strict=True)
    return [ops.convert_to_numpy(spread(group, group.kernels[0], one)) for group, one in pairs]


def largest_unit(group: Group) -> int:
    return 1 if group.sizes is None else int(group.sizes.max())


def kept_units(group: Group, mask: np.ndarray) -> int:
    """How many units, blocks or channels, a mask keeps."""
    scores = group.pattern.pool(group.kernels[0].layout.to_matrix(mask.astype("float32")))
    return int(np.count_nonzero(scores))


def final(pattern: str, sparsity: float) -> float:
    """N:M ends at a sparsity of its own; halfway to it, too, counts are exact."""
    parsed = parse_pattern(pattern)
    return parsed.final * round(2 * sparsity) / 2 if isinstance(parsed, NofM) else sparsity


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=4, deadline=None)
@given(
    shapes=st.lists(kernel_shapes, min_size=1, max_size=2),
    sparsity=st.one_of(st.floats(0.01, 0.97), st.sampled_from([0.5, 0.8, 0.99, 0.9999])),
    scope=st.sampled_from(["layer", "global"]),
    seed=seeds,
)
# In each layer the one unit that is kept has four weights, so that 135 - 4 - 4 zeros are all there can be.
@example(shapes=[(1, 3, 5, 6), (5, 9)], sparsity=0.99, scope="global", seed=27)
def test_targets_are_exact_to_one_unit(
    pattern: str, shapes: list[tuple[int, ...]], sparsity: float, scope: str, seed: int
) -> None:
    groups = [group for group in random_groups(shapes, pattern, seed) if group.limit > 0]
    if not groups:
        return
    sparsity = final(pattern, sparsity)
    targets = [group.zeros(sparsity) for group in groups]
    masks = masks_of(groups, sparsity, scope)
    zeros = [int(np.sum(~mask)) for mask in masks]
    units = [largest_unit(group) for group in groups]
    if scope == "layer":
        assert all(t - u < z <= t for z, t, u in zip(zeros, targets, units, strict=True))
    else:
        spent = all(kept_units(group, mask) == 1 for group, mask in zip(groups, masks, strict=True))
        assert sum(zeros) <= sum(targets)
        assert spent or sum(zeros) > sum(targets) - max(units)
        if max(units) == 1:
            assert sum(zeros) == sum(targets)
    assert all(z < math.prod(g.kernels[0].layout.shape) for z, g in zip(zeros, groups, strict=True))
    structure = STRUCTURE[pattern if pattern == "unstructured" or pattern == "channels" else "groups"]
    for group, mask in zip(groups, masks, strict=True):
        assert structure(group, mask, sparsity)


def whole_units(group: Group, mask: np.ndarray, sparsity: float) -> bool:
    """Blocks are kept or removed whole; N:M groups keep at most N at the end, and more before."""
    matrix = ops.convert_to_numpy(group.kernels[0].layout.to_matrix(mask))
    pattern = group.pattern
    if isinstance(pattern, NofM):
        kept = [matrix[:, i : i + pattern.m].sum(axis=1) for i in range(0, matrix.shape[1], pattern.m)]
        widths = [min(pattern.m, matrix.shape[1] - i) for i in range(0, matrix.shape[1], pattern.m)]
        highest = pattern.n if abs(sparsity - pattern.final) < 1e-6 else pattern.m
        at_least = [min(pattern.n, width) for width in widths]
        return all(
            (k <= highest).all() and (k >= least).all() for k, least in zip(kept, at_least, strict=True)
        )
    rows, columns = pattern.rows, pattern.columns
    blocks = [
        matrix[p, i : i + columns, o : o + rows]
        for p in range(matrix.shape[0])
        for i in range(0, matrix.shape[1], columns)
        for o in range(0, matrix.shape[2], rows)
    ]
    return all(block.all() or not block.any() for block in blocks)


STRUCTURE = {
    "unstructured": lambda group, mask, sparsity: True,
    "channels": lambda group, mask, sparsity: np.all(
        mask.reshape(-1, mask.shape[-1]) == mask.reshape(-1, mask.shape[-1])[0]
    ),
    "groups": whole_units,
}


@pytest.mark.parametrize(
    ("pattern", "sparsity", "expected"),
    [
        # outputs are columns here, inputs are rows, as in a Dense kernel
        ("2x1", 0.5, [[0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0]]),
        ("1x2", 0.5, [[0, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1]]),
        ("2:4", 0.5, [[0, 0, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1], [1, 1, 0, 1]]),
        ("channels", 0.5, [[0, 1, 0, 1]] * 4),
    ],
)
def test_which_weights_go(pattern: str, sparsity: float, expected: list[list[int]]) -> None:
    weight = np.array([[1, 2, 9, 4], [4, 8, 3, 4], [5, 3, 2.5, 5], [5, 6.5, 2, 5]], "float32")
    if pattern == "2x1":
        weight = np.array([[1, 2, 9, 9], [9, 9, 1, 2], [2, 3, 9, 9], [9, 9, 3, 2]], "float32")
    (mask,) = masks_of([group_of(pattern, weight)], sparsity, "layer")
    np.testing.assert_array_equal(mask.astype(int), expected)


def test_blocks_do_not_cross_the_taps_of_a_convolution() -> None:
    weight = np.ones((1, 2, 3, 2), "float32")
    weight[0, 0, 2] = weight[0, 1, 0] = 0.1  # neighbours in memory, in two taps
    (mask,) = masks_of([group_of("1x3", weight)], 0.5, "layer")
    assert all(len(set(mask[0, tap, :, out].tolist())) == 1 for tap in (0, 1) for out in (0, 1))


@pytest.mark.parametrize("pattern", ["unstructured", "1x4", "channels"])
def test_all_equal_weights_get_their_count(pattern: str) -> None:
    for weight in (np.zeros((12, 8)), np.ones((3, 3, 4, 8))):
        (mask,) = masks_of([group_of(pattern, weight)], 0.5, "layer")
        assert np.sum(~mask) == mask.size // 2


@settings(max_examples=10, deadline=None)
@given(low=st.floats(0, 0.6), high=st.floats(0.6, 1.0), sparsity=st.floats(0.05, 0.95), seed=seeds)
def test_global_scope_respects_floors_and_caps(low: float, high: float, sparsity: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes, scales = [(9, 11), (3, 3, 4, 5), (30, 7)], [0.01, 1.0, 30.0]
    groups = [
        group_of("unstructured", scale * rng.normal(size=shape))
        for shape, scale in zip(shapes, scales, strict=True)
    ]
    masks = masks_of(groups, sparsity, "global", (low, high))
    sizes = [mask.size for mask in masks]
    zeros = [int(np.sum(~mask)) for mask in masks]
    assert sum(zeros) == sum(group.zeros(sparsity) for group in groups)
    for zero, size in zip(zeros, sizes, strict=True):
        assert zero >= math.floor(min(low, sparsity) * size + 1e-6)
        assert zero <= min(math.ceil(max(high, sparsity) * size), size - 1)


def test_global_scope_is_one_threshold() -> None:
    rng = np.random.default_rng(0)
    groups = [group_of("unstructured", s * rng.normal(size=(10, 10))) for s in (1.0, 2.0)]
    masks = masks_of(groups, 0.6, "global")
    weights = [np.abs(group.kernels[0].variable.numpy()) for group in groups]
    kept = min(w[m].min() for w, m in zip(weights, masks, strict=True))
    gone = max(w[~m].max() for w, m in zip(weights, masks, strict=True))
    assert gone <= kept
    assert np.sum(~masks[0]) > np.sum(~masks[1])


@settings(max_examples=6, deadline=None)
@given(shapes=st.lists(kernel_shapes, min_size=1, max_size=4), sparsity=st.floats(0.0, 0.95), seed=seeds)
def test_erk_counts_are_exact(shapes: list[tuple[int, ...]], sparsity: float, seed: int) -> None:
    groups = random_groups(shapes, "unstructured", seed)
    zeros = [int(np.sum(~mask)) for mask in masks_of(groups, sparsity, "erk")]
    sizes = [math.prod(shape) for shape in shapes]
    assert sum(zeros) == min(round(sparsity * sum(sizes)), sum(size - 1 for size in sizes))
    for density, zero, size in zip(erk_densities(shapes, sparsity), zeros, sizes, strict=True):
        assert abs(size * (1 - density) - zero) <= len(shapes) + 1 or zero == size - 1


@settings(max_examples=12, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=30), data=st.data())
def test_unit_mask_against_a_loop(sizes: list[int], data: st.DataObject) -> None:
    scores = np.array(
        data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=len(sizes), max_size=len(sizes))),
        "float32",
    )
    zeros = data.draw(st.integers(0, sum(sizes)))
    mask = ops.convert_to_numpy(unit_mask(scores, sizes, zeros))
    removed = int(np.sum(np.array(sizes)[~mask]))
    assert removed <= zeros
    order = [index for index in np.argsort(scores, kind="stable") if mask[index]]
    if order:
        assert scores[~mask].max(initial=-1) <= scores[order[0]]
        same = [sizes[index] for index in order if scores[index] == scores[order[0]]]
        assert removed + max(same) > zeros


@settings(max_examples=12, deadline=None)
@given(size=st.integers(2, 40), data=st.data())
def test_regrow_keeps_the_count_and_drops_the_lowest(size: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(seeds))
    active = rng.permutation(np.arange(size) < data.draw(st.integers(1, size - 1)))
    count = data.draw(st.integers(0, min(active.sum(), size - active.sum())))
    scores, growth = rng.normal(size=(2, size)).astype("float32")
    mask = ops.convert_to_numpy(regrow_mask(active, scores, growth, count))
    assert mask.sum() == active.sum()
    assert sorted(scores[active & ~mask]) == sorted(scores[active])[:count]
    assert sorted(growth[~active & mask]) == sorted(growth[~active])[len(growth[~active]) - count :]


LAYOUTS = [
    (layers.Dense(6), (None, 4), (1, 4, 6)),
    (layers.Conv2D(6, (3, 2)), (None, 8, 8, 4), (6, 4, 6)),
    (layers.Conv2DTranspose(6, 3), (None, 8, 8, 4), (9, 4, 6)),
    (layers.DepthwiseConv2D(3, depth_multiplier=2), (None, 8, 8, 4), (9, 1, 8)),
    (layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3)), (None, 5, 4), (1, 4, 6)),
    (layers.EinsumDense("abcd,cde->abe", output_shape=(None, 6)), (None, 5, 2, 3), (1, 6, 6)),
    (layers.EinsumDense("...b,bc->...c", output_shape=(6,)), (None, 5, 4), (1, 4, 6)),
]


@pytest.mark.parametrize(("layer", "shape", "matrix"), LAYOUTS)
def test_layouts_say_what_is_summed_over(layer, shape, matrix) -> None:  # type: ignore[no-untyped-def]
    if not layer.built:
        layer.build(shape)
    layout = layout_of(layer, layer.kernel)
    assert layout.matrix_shape == matrix
    again = layout.from_matrix(layout.to_matrix(layer.kernel))
    np.testing.assert_array_equal(again, layer.kernel)


def test_layout_of_a_transposed_axis_order() -> None:
    weight = np.arange(24.0).reshape(2, 3, 4)
    matrix = ops.convert_to_numpy(Layout((2, 3, 4), inputs=(2,), outputs=(0,)).to_matrix(weight))
    np.testing.assert_array_equal(matrix, weight.transpose(1, 2, 0))


@pytest.mark.parametrize("text", ["2-4", "4:2", "0:4", "2:400", "0x4", "block", "", None, 4])
def test_unknown_patterns(text: object) -> None:
    with pytest.raises(
        ValueError, match=r"'pattern'.*'unstructured', 'channels', 'heads', 'N:M'.*Got .* instead"
    ):
        parse_pattern(text)  # type: ignore[arg-type]
