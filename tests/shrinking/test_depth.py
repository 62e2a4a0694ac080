"""Skipping residual blocks: what is left computes what the same model without them computes."""

import keras
import numpy as np
from keras import layers

from tests.models import samples_for
from tests.shrinking.nets import make
from tfopt.graph import build_model, capture
from tfopt.shrinking import residual_blocks, skip_blocks


def test_skipping_all_blocks_leaves_the_trunk():
    model = make("residual_chain")
    graph = capture(model)
    blocks = residual_blocks(graph)
    assert [len(block.branch) for block in blocks] == [5, 5]
    short = build_model(skip_blocks(graph, blocks))
    x = samples_for(model, 4)
    held = [layer for layer in model.layers if layer.weights]
    stem, dense = held[0], held[-1]
    expected = dense(np.asarray(keras.ops.relu(stem(x))).mean((1, 2)))
    np.testing.assert_allclose(short(x), expected, atol=1e-5)
    assert short.count_params() == stem.count_params() + dense.count_params()


def test_skipping_one_block_keeps_the_other():
    graph = capture(make("residual_chain"))
    first, second = residual_blocks(graph)
    short = skip_blocks(graph, (first,))
    assert [block.path for block in residual_blocks(short)] == [second.path]
    assert len(short.nodes) == len(graph.nodes) - 6
    build_model(short)


def test_branches_read_elsewhere_are_no_blocks():
    inputs = keras.Input((4,))
    y = layers.Dense(4)(inputs)
    model = keras.Model(inputs, [layers.Add()([inputs, y]), y])
    assert residual_blocks(capture(model)) == ()
    # Nor is a sum of two branches.
    model = keras.Model(inputs, layers.Add()([layers.Dense(4)(inputs), layers.Dense(4)(inputs)]))
    assert residual_blocks(capture(model)) == ()
