"""Centroids and assignments against NumPy, written with loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfopt.clustering import Space, cluster_weight, kmeans, start_centroids
from tfopt.clustering._assign import at, means, nearest
from tfopt.clustering._centroids import STARTS


def lloyd(values, weights, centroids, fixed, iterations):
    """k-means as it is written in books."""
    c = centroids.copy()
    for _ in range(iterations):
        index = np.array([min(range(len(c)), key=lambda j: (abs(v - c[j]), j)) for v in values])
        for j in range(len(c)):
            if c[j] not in fixed and weights[index == j].sum() > 0:
                c[j] = np.average(values[index == j], weights=weights[index == j])
    return c


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 9), st.integers(4, 60))
def test_kmeans(seed, count, size):
    rng = np.random.default_rng(seed)
    values, weights = rng.normal(size=size), rng.uniform(0.5, 2, size)
    fixed = np.array([0.0])
    begin = np.sort(np.concatenate([fixed, rng.normal(size=count - 1)]))
    found = kmeans(values, weights, begin, fixed, iterations=4)
    np.testing.assert_allclose(found, lloyd(values, weights, begin, fixed, 4), rtol=1e-9)
    assert 0.0 in found and (np.diff(found) >= 0).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(2, 20), st.integers(0, 3))
def test_nearest_and_means(seed, groups, count, unused):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(groups, 30)).astype("float32")
    weights = rng.uniform(0.5, 2, values.shape).astype("float32")
    centroids = np.sort(rng.normal(size=(groups, count)).astype("float32"))
    padded = np.pad(centroids, ((0, 0), (0, unused)), constant_values=np.inf)
    index = np.asarray(nearest(values, padded))
    expected = np.abs(values[..., None] - centroids[:, None, :])
    np.testing.assert_allclose(
        np.take_along_axis(expected, index[..., None], -1)[..., 0], expected.min(-1), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(at(padded, index), np.take_along_axis(padded, index, 1))
    fixed = rng.uniform(size=padded.shape) < 0.3
    moved = np.asarray(means(values, weights, index, padded, fixed))
    for g in range(groups):
        for c in range(count + unused):
            is_member = index[g] == c
            stays = fixed[g, c] or not is_member.any()
            want = padded[g, c] if stays else np.average(values[g][is_member], weights=weights[g][is_member])
            np.testing.assert_allclose(moved[g, c], want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("start", STARTS)
def test_every_start_leads_to_few_centroids_with_a_small_error(start):
    rng = np.random.default_rng(0)
    # Five narrow groups far apart, of which one is around zero: the error of one centroid each is that of the groups.
    centers = np.array([-4.0, -2.0, 0.0, 1.0, 5.0])
    values = (centers[:, None] + 0.01 * rng.normal(size=(5, 200))).ravel()
    fixed = np.array([0.0])
    begin = start_centroids(values, np.ones(len(values)), fixed, 5, start, seed=0)
    assert len(begin) <= 5 and 0.0 in begin
    found = kmeans(values, np.ones(len(values)), begin, fixed)
    np.testing.assert_allclose(found, centers, atol=0.01)


SPACES = {
    "a kernel": Space((3, 4, 6), (2,)),
    "each channel": Space((3, 4, 6), (2,), per_channel=True),
    "codes": Space((3, 4, 6), (2,), codes=True),
    "codes of 6 bits": Space((3, 4, 6), (2,), codes=True, largest_code=31),
    "codes of one step": Space((3, 4, 6), (2,), codes=True, one_step=True),
    "codes, channels in the middle": Space((3, 4, 6), (0, 1), codes=True),
}


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_a_clustered_weight_holds_few_values_and_keeps_zeros(space):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=space.shape).astype("float32")
    weight[0, 1] = 0.0
    factor = np.where(rng.uniform(size=(space.channel_count, 1)) < 0.5, -1.0, 1.0).astype("float32")
    if space.one_step:
        factor *= rng.uniform(0.5, 2, factor.shape).astype("float32")
    old = np.full((space.rows[0], 8), np.inf, "float32")
    centroids, index, clustered = cluster_weight(weight, space, factor, old, 8, "kmeans++", 0)
    assert (clustered[0, 1] == 0).all() and centroids.shape == old.shape and index.shape == space.rows
    error = np.abs(clustered - weight).max()
    assert 0 < error < 0.8 * np.abs(weight).max()
    matrix = np.asarray(space.matrix(clustered)) * factor
    if not space.codes:
        rows = matrix / factor if space.rows[0] == space.channel_count else (matrix / factor).reshape(1, -1)
        assert max(len(np.unique(row)) for row in rows) <= 8
        return
    # What an export makes of it: the largest product of a channel, or of all, becomes the largest code.
    largest = np.maximum(np.abs(matrix).max(1, keepdims=True), 1e-9)  # a channel may be all zero
    codes = matrix / (largest.max() if space.one_step else largest) * space.largest_code
    np.testing.assert_allclose(codes, np.round(codes), atol=1e-3)
    assert len(np.unique(np.round(codes))) <= 8
    # Clustered again, from its own centroids, it is what it was.
    again = cluster_weight(clustered, space, factor, centroids, 0, "kmeans++", 0)[2]
    np.testing.assert_allclose(again, clustered, rtol=1e-5, atol=1e-7)
