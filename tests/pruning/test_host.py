"""Selection in NumPy against a sort, and against selection in graphs. A new way to select adds a row to WAYS."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pruning.test_patterns import group_of
from tfopt.pruning import _backend, _host, _select
from tfopt.pruning._criteria import CRITERIA, lamp_curve
from tfopt.pruning._select import choose_units

seeds = st.integers(0, 2**32 - 1)
# Samples of so few ranks are often unlike the whole.
samples = st.sampled_from([1, 4, 16])


def arrays(rng: np.random.Generator, count: int, signs: bool) -> list[np.ndarray]:
    """Ranks of different sizes and scales; in some arrays many scores are zero or equal."""
    found = []
    for _ in range(count):
        scores = rng.normal(size=rng.integers(1, 900)) * 10.0 ** rng.integers(-2, 3)
        if rng.random() < 0.3:
            scores = scores.round(1)
        if rng.random() < 0.5:
            scores[np.abs(scores) < np.quantile(np.abs(scores), rng.random())] = 0.0
        found.append(
            _host.host_ranks((scores if signs else np.abs(scores)).astype("float32") + np.float32(0))
        )
    return found


@settings(max_examples=150, deadline=None)
@given(seed=seeds, sample=samples)
def test_the_lowest_are_those_of_a_sort(seed: int, sample: int) -> None:
    rng = np.random.default_rng(seed)
    (ranks,) = arrays(rng, 1, signs=True)
    count = int(rng.integers(0, ranks.size + 1))
    expected = np.zeros(ranks.size, bool)
    expected[np.argsort(ranks, kind="stable")[:count]] = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_host, "SMALLEST_SAMPLE", sample)
        np.testing.assert_array_equal(_host.lowest_of(ranks, count), expected)


@settings(max_examples=200, deadline=None)
@given(
    seed=seeds, sample=samples, count=st.integers(1, 4), kind=st.sampled_from(["signs", "positive", "lamp"])
)
def test_shares_are_those_of_a_sort(seed: int, sample: int, count: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    ranks = arrays(rng, count, signs=kind == "signs")
    ends = [np.sort(rng.integers(0, one.size + 1, 2)) for one in ranks]
    bounds = [
        (int(low) * int(rng.random() < 0.3), int(high) if rng.random() < 0.5 else one.size)
        for one, (low, high) in zip(ranks, ends, strict=True)
    ]
    least, most = (sum(pair[index] for pair in bounds) for index in (0, 1))
    wanted = int(rng.integers(least, most + 1))
    if rng.random() < 0.3:  # all that is zero, and no more: the masks as they are
        wanted = int(np.clip(sum(np.sum(one == 0) for one in ranks), least, most))
    curve = lamp_curve if kind == "lamp" else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_host, "SMALLEST_SAMPLE", sample)
        found = _host.share(ranks, wanted, bounds, curve)
    rows = []
    for index, (one, (low, high)) in enumerate(zip(ranks, bounds, strict=True)):
        scores = np.sort(one)
        scores = scores if curve is None else curve(scores.view("float32"), 0.0)
        rows += [(scores[place], index, place) for place in range(low, high)]
    expected = [low for low, _ in bounds]
    for _, index, _ in sorted(rows)[: wanted - least]:
        expected[index] += 1
    assert sum(found) == wanted
    # LAMP's sums of squares are rounded in another order.
    assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= (kind == "lamp")


@pytest.fixture
def in_graphs() -> Iterator[pytest.MonkeyPatch]:
    """Within this test weights are ranked in graphs that XLA compiles, as on an accelerator."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch
    _backend.compiled.cache_clear()


WAYS = [
    ("unstructured", "layer", "magnitude", (0.0, 1.0)),
    ("unstructured", "global", "magnitude", (0.3, 0.6)),
    ("unstructured", "global", "lamp", (0.0, 0.98)),
    ("unstructured", "erk", "magnitude", (0.0, 1.0)),
    ("2:4", "global", "magnitude", (0.0, 0.98)),
    ("3x5", "layer", "magnitude", (0.0, 1.0)),
    ("3x5", "global", "lamp", (0.1, 0.6)),
    ("channels", "global", "magnitude", (0.0, 0.6)),
]


@pytest.mark.parametrize(
    ("pattern", "scope", "criterion", "bounds"),
    [row if index == 2 else pytest.param(*row, marks=pytest.mark.slow) for index, row in enumerate(WAYS)],
)
def test_graphs_select_the_same_as_numpy(
    pattern: str, scope: str, criterion: str, bounds: tuple[float, float], in_graphs: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    groups = [
        group_of(pattern, scale * rng.normal(size=shape))
        for shape, scale in (((40, 30), 1.0), ((3, 3, 8, 16), 0.1))
    ]
    arguments = (groups, CRITERIA[criterion], {}, 0.5, scope, bounds)
    on_host = choose_units(*arguments)
    _backend.compiled.cache_clear()
    for module in (_backend, _select):
        in_graphs.setattr(module, "is_on_host", lambda: False)
    for host, graph in zip(on_host, choose_units(*arguments), strict=True):
        np.testing.assert_array_equal(host, graph)
