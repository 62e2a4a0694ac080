"""Merging layers whose numbers depend on the masks on their inputs, as operations that say so."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from keras import layers, ops

from tfopt.graph._graph import Expansion, Node, Tensor
from tfopt.graph._record import inline

Merge = Callable[[list[Any], list[Any]], Any]


def merged(node: Node, masks: Sequence[Tensor | None]) -> Expansion | None:
    """A merging layer with its masks as arguments, as its `call` reads them from the tensors.

    Args:
        node: a call of any operation.
        masks: the mask on each of its inputs, or None.

    Returns:
        The nodes that compute it; None for an operation whose numbers do not depend on masks.
    """
    merge = _MERGES.get(type(node.op))
    if merge is None or all(mask is None for mask in masks):
        return None
    given = [mask for mask in masks if mask is not None]

    def call(*tensors: Tensor) -> Tensor:
        xs, left = list(tensors[: len(masks)]), iter(tensors[len(masks) :])
        each = [None if mask is None else ops.expand_dims(next(left), -1) for mask in masks]
        return merge(xs, each)

    return inline(Node(node.op, (*node.inputs, *given), {}, node.outputs, node.path), call)


def _multiply(xs: list[Any], masks: list[Any]) -> Any:
    """A product in which steps left out count as 1; 0 where all are."""
    xs = [x if mask is None else ops.where(mask, x, 1.0) for x, mask in zip(xs, masks, strict=True)]
    product = functools.reduce(ops.multiply, xs)
    if any(mask is None for mask in masks):
        return product
    return ops.where(functools.reduce(ops.logical_or, masks), product, 0.0)


def _extreme(function: Callable[[Any, Any], Any]) -> Merge:
    """A minimum or maximum of the steps that are not left out."""

    def merge(xs: list[Any], masks: list[Any]) -> Any:
        y, kept = xs[0], masks[0]
        for x, mask in zip(xs[1:], masks[1:], strict=True):
            x = x if mask is None else ops.where(mask, x, y)
            y = y if kept is None else ops.where(kept, y, x)
            kept = None if mask is None or kept is None else ops.logical_or(kept, mask)
            y = function(y, x)
        return y

    return merge


# Layer -> its `call` with masks. https://github.com/keras-team/keras/blob/v3.15.0/keras/src/layers/merging/base_merge.py
_MERGES: dict[type, Merge] = {
    layers.Maximum: _extreme(ops.maximum),
    layers.Minimum: _extreme(ops.minimum),
    layers.Multiply: _multiply,
}
