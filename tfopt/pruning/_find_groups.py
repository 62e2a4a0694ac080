"""Groups: weights that are pruned together, such as a kernel and its bias, or an attention layer's kernels."""

import re
from collections.abc import Sequence

import keras

from tfopt.graph import LayerFilter, check_finite, own_weights
from tfopt.pruning._coupled import coupled_groups
from tfopt.pruning._first_and_last import find_edges
from tfopt.pruning._group import Group, Member
from tfopt.pruning._layouts import Layout, layout_of, vector_layout
from tfopt.pruning._patterns import Lanes, parse_pattern
from tfopt.pruning._targets import PRUNED_CLASSES, Target, find_targets, path_of

_ATTENTION = re.compile(r"(?P<prefix>.*?)(?P<role>query|key|value|attention_output)(?P<number>_\d+)?$")
Dense = tuple[tuple[str, str], ...]


def find_groups(model: keras.Model, where: LayerFilter, pattern: str) -> tuple[tuple[Group, ...], Dense]:
    """The groups of a model for a pattern, and the layers that stay dense with the reason.

    Raises:
        ValueError: as `find_targets`, or no layer suits the pattern.
    """
    check_finite(model)
    if pattern == "heads":
        targets, dense = find_targets(model, where if where is not None else lambda layer: True)
        groups, left = _heads(targets)
    else:
        targets, dense = find_targets(model, where)
        groups, left = _single(model, targets, pattern)
    if not groups:
        reasons = "; ".join(f"{path}: {reason}" for path, reason in left)
        raise ValueError(
            f"The 'pattern' argument of Pruning must suit a layer of model '{model.name}'. Got {pattern!r}, which "
            f"suits none, instead. {reasons}. Select others with where=, or use pattern='unstructured'."
        )
    return tuple(groups), (*dense, *left)


def _single(
    model: keras.Model, targets: Sequence[Target], text: str
) -> tuple[list[Group], list[tuple[str, str]]]:
    pattern = parse_pattern(text)
    groups: list[Group] = []
    left: list[tuple[str, str]] = []
    norms: dict[int, keras.layers.BatchNormalization] = {}
    if text == "channels":
        groups, left, targets = coupled_groups(model, targets)
        norms = find_edges(model).norms
    for target in targets:
        kernel = Member(target.layer, target.variable, layout_of(target.layer, target.variable))
        if text == "channels":
            if not isinstance(target.layer, PRUNED_CLASSES):
                left.append(
                    (path_of(target.layer), f"channels of {type(target.layer).__name__} are not known")
                )
                continue
            groups.append(_channels(kernel, norms.get(id(target.layer))))
            continue
        group = Group(pattern, (kernel,))
        if group.limit < 1:
            left.append((path_of(target.layer), f"too small for pattern '{text}'"))
        else:
            groups.append(group)
    return groups, left


def _channels(kernel: Member, norm: keras.layers.BatchNormalization | None) -> Group:
    """A kernel, its bias, and the next batch norm's gamma and beta, without which channels are constant and not 0."""
    outputs = kernel.layout.matrix_shape[2]
    found = [(kernel.layer, weight) for weight in own_weights(kernel.layer) if weight.name == "bias"]
    if norm is not None:
        found += [(norm, weight) for weight in own_weights(norm) if weight.name in ("gamma", "beta")]
    vectors = [Member(layer, weight, vector_layout(weight)) for layer, weight in found]
    followers = tuple(
        member
        for member in vectors
        if member.layer.trainable and member.variable.trainable and member.layout.full_shape[2] == outputs
    )
    gammas = tuple(member for member in vectors if member.variable.name == "gamma")
    return Group(Lanes(), (kernel,), followers, gammas)


def _heads(targets: Sequence[Target]) -> tuple[list[Group], list[tuple[str, str]]]:
    """A group per attention layer. Its four layers are found by name, as in the models that `quantize` makes."""
    left: list[tuple[str, str]] = []
    found: dict[tuple[str, str], dict[str, Target]] = {}
    for target in targets:
        match = _ATTENTION.match(path_of(target.layer))
        if not isinstance(target.layer, keras.layers.EinsumDense) or match is None:
            left.append((path_of(target.layer), "no attention heads"))
            continue
        found.setdefault((match["prefix"], match["number"] or ""), {})[match["role"]] = target
    groups = []
    for parts in found.values():
        if len(parts) == 4 and all(len(part.variable.shape) == 3 for part in parts.values()):
            groups.append(_attention(parts))
        else:
            reason = "query, key, value and output kernels of an attention layer are only pruned together"
            left.extend((path_of(part.layer), reason) for part in parts.values())
    return groups, left


def _attention(parts: dict[str, Target]) -> Group:
    """The heads of an attention layer; with grouped queries, a key and value head with the query heads that read it."""
    kernels, followers = [], []
    for role, part in parts.items():
        shape = tuple(part.variable.shape)
        axis = 0 if role == "attention_output" else 1
        rest = tuple(a for a in range(3) if a != axis)
        kernels.append(Member(part.layer, part.variable, Layout(shape, rest, (axis,))))
        for weight in own_weights(part.layer) if axis else ():
            if weight.name == "bias":
                followers.append(Member(part.layer, weight, Layout(tuple(weight.shape), (1,), (0,))))
    return Group(Lanes(parts["key"].variable.shape[1]), tuple(kernels), tuple(followers))
