"""Lowering of sums: what Keras would take for a bias."""

import dataclasses
from typing import Any

import keras
from keras import layers

from tfopt.graph import Expansion, Node, kind


class _Sum(layers.Layer):
    """`x + y`, as TensorFlow broadcasts it."""

    def call(self, x: Any, y: Any) -> Any:
        return x + y

    def compute_output_spec(self, x: keras.KerasTensor, y: Any) -> keras.KerasTensor:
        return keras.ops.add(x, y)


def plain_sum(node: Node) -> Expansion | None:
    """A sum whose second term has one number for each row of a sample, or for the whole of it.

    On a batch of 1, `keras.ops.add` takes a term of shape `(1, rows, 1)` for a bias, because it can be squeezed to a
    vector: the converter fails, or the term is added along the channels where there are as many of them as of rows.
    """
    if kind(node.op) != "Add" or node.opaque:
        return None
    terms = keras.tree.flatten((node.args, node.kwargs))
    if len(terms) != 2 or not all(hasattr(term, "shape") for term in terms):
        return None
    x, y = terms
    sides = tuple(y.shape)[1:]
    if not sides or sides[-1] != 1 or sum(side != 1 for side in sides) > 1:
        return None
    return [dataclasses.replace(node, op=_Sum(name=node.op.name), args=(x, y), kwargs={})], node.outputs
