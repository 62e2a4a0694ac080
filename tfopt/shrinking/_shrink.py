"""`shrink`: removes channels from a model, so that it is smaller and faster."""

import dataclasses
import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from tfopt._replicas import average_statistics
from tfopt.channels import (
    MADE,
    Channels,
    Group,
    Sizes,
    Slot,
    channel_groups,
    exactly_removable,
    leftovers,
)
from tfopt.graph import LayerFilter, Node, capture, check_finite, tensors_in
from tfopt.kernels import TARGETS
from tfopt.shrinking._costs import bytes_of, cost, macs_of, params_of
from tfopt.shrinking._counts import families
from tfopt.shrinking._criteria import ScoreFunction, score
from tfopt.shrinking._cut import cut
from tfopt.shrinking._report import ShrinkReport, ShrunkLayer
from tfopt.shrinking._select import keep_nonzero, keep_ratio, keep_within, per_saving


def shrink(
    model: keras.Model,
    *,
    channels: float | str | Mapping[str, float] | None = None,
    macs: float | None = None,
    params: float | None = None,
    bytes: float | None = None,
    latency: float | None = None,
    criterion: ScoreFunction = "magnitude",
    data: Any = None,
    where: LayerFilter = None,
    divisor: int | str = 8,
    latency_of: Callable[[keras.Model], float] | None = None,
) -> keras.Model:
    """Removes channels, neurons and attention heads from a model, with their weights, computation and bytes.

    Exactly one budget says how much is to be *left*. `channels` keeps the same part of every layer. The other budgets
    remove the channels with the lowest scores in the whole model until what is left is within the budget, but at most
    nine tenths of a layer. Channels that meet in an addition, a gate or a shared layer are coupled, and only removed
    together. Channels that cannot be followed through the graph are kept, and the report says why. The outputs are, up
    to float rounding, those of the model in which the removed channels are zero, with their biases, gammas and betas.
    What is left of them behind a sigmoid, sigmoid(0), is added to the next layer's bias; where that cannot be done
    exactly, as before a padded convolution, the channels are kept. Removing channels whose filters are zero, as
    `Pruning(pattern="channels")` makes them, changes nothing at all, whatever their biases are. Fine-tune the result
    afterwards, or call this several times with training in between.

    Dependencies between layers follow Fang et al. (2023), "DepGraph", https://arxiv.org/abs/2301.12900.

    Args:
        model: a built Keras model of any form. It is not changed.
        channels: part of the channels of each layer to keep, in (0, 1), or of single layers, by their paths:
            `{"conv": 0.5}`, with which those go that are coupled to them; or `"zero"` to remove only those whose
            filters are all zero, and keep what their biases add to the outputs.
        macs: multiply-accumulates for one sample: a part in (0, 1), or a count from 1 up.
        params: parameters: a part in (0, 1), or a count.
        bytes: bytes of the int8 .tflite file, as estimated from its weights: a part in (0, 1), or a count.
        latency: milliseconds of one call, by `latency_of`: of the int8 .tflite file on LiteRT on this machine, one
            thread.
        criterion: `"magnitude"`, `"batch_norm"`, `"taylor"` (needs `data` with targets and a compiled model; budgets
            use its loss per cost saved), `"random"`, or a function from a weight to scores of its shape; see
            `tfopt.shrinking.score`.
        data: `(inputs, targets)` or batches of them, for criteria that need data.
        where: which layers may lose channels: a regular expression searched in the layer's path, or a function
            `layer -> bool`. All by default.
        divisor: channel counts are rounded to multiples of it (SIMD kernels compute 8 at a time), never above what a
            layer has. 1 for exact counts; the name of a target, such as `"ethos-u"`, for as many as its kernels compute
            at a time.
        latency_of: how to measure `latency`: a function from a float model to milliseconds. `tfopt.shrink` measures the
            int8 file on LiteRT.

    Returns:
        A new, uncompiled Functional model with the surviving weights, and a `report` attribute: a `ShrinkReport`.

    Raises:
        ValueError: there is not exactly one budget or it is out of range, nothing can be removed, `where` matches no
            layer, the model is not built, or data is missing.
        TypeError: `model` is not a Keras 3 model.

    Example:

    >>> import keras
    >>> from tfopt.shrinking import shrink
    >>> x = inputs = keras.Input((8, 8, 3))
    >>> x = keras.layers.Conv2D(16, 3, name="conv")(x)
    >>> x = keras.layers.Dense(10, name="head")(keras.layers.Flatten()(x))
    >>> small = shrink(keras.Model(inputs, x), channels=0.5)
    >>> small.get_layer("conv").filters, small.count_params()
    (8, 3114)
    """
    budgets = {"channels": channels, "macs": macs, "params": params, "bytes": bytes, "latency": latency}
    name, budget = _one_budget(budgets)
    divisor = _divisor(divisor)
    average_statistics(model)
    found = channel_groups(capture(model), where)
    check_finite(model)
    if isinstance(budget, Mapping):
        _check_parts(budget, found)
    weights = "as they are" if budget == "zero" else "zeroed"
    if budget != "zero":
        found = exactly_removable(found)
    if not found.groups:
        raise ValueError(
            f"The model {model.name!r} must have a layer whose channels can be removed. Got none: {_reasons(found)}. "
            "Let 'where' select more layers, or write the model with Keras layers and keras.ops."
        )
    if name == "latency" and latency_of is None:
        raise ValueError(
            f"The 'latency_of' argument must say how to measure latency={latency!r}. Got none: call tfopt.shrink, "
            "which measures the int8 file on LiteRT, or pass a function from a model to milliseconds."
        )
    while True:
        scores = score(found, "magnitude" if budget == "zero" else criterion, model, data)
        kept = _select(found, scores, criterion, name, budget, divisor, latency_of)
        # Zero filters with biases may leave what no other bias can hold: only now is it known which are removed.
        refused = leftovers(found, ~kept, weights).refused
        if not refused:
            break
        found = found.without(np.isin(np.arange(found.count), list(refused)), refused)
    small = cut(found, kept, weights)
    report = report_of(found, kept, divisor, _NONE_ZERO if budget == "zero" else _HIGHER)
    # Layers may have got biases.
    small.report = dataclasses.replace(report, params=(report.params[0], small.count_params()))
    return small


def _divisor(divisor: int | str) -> int:
    known = {name: target.channels for name, target in TARGETS.items() if target.channels}
    count = known.get(divisor, divisor) if isinstance(divisor, str) else divisor
    if not isinstance(count, int) or count < 1:
        raise ValueError(
            "The 'divisor' argument must be an integer of at least 1, or a target of which it is documented: "
            f"{', '.join(map(repr, known))}. Got {divisor!r} instead. 8 suits SIMD kernels."
        )
    return count


def _one_budget(budgets: dict[str, Any]) -> tuple[str, Any]:
    given = {name: value for name, value in budgets.items() if value is not None}
    if len(given) != 1:
        got = " and ".join(f"{name}={value!r}" for name, value in given.items()) or "none"
        raise ValueError(
            f"shrink needs exactly one budget: channels, macs, params, bytes or latency. Got {got}. "
            "For half of the multiply-accumulates pass macs=0.5."
        )
    name, value = next(iter(given.items()))
    if name == "channels" and (value == "zero" or isinstance(value, Mapping)):
        return name, value
    number = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value <= 0 or (name == "channels" and value >= 1):
        expected = {
            "channels": "a part in (0, 1) to keep, or 'zero'",
            "latency": "a number of milliseconds above 0",
        }.get(name, "a part in (0, 1) to keep, or a count of at least 1")
        raise ValueError(
            f"The '{name}' argument must be {expected}. Got {value!r} instead. To keep half, pass "
            f"{'half of what measure_latency gives' if name == 'latency' else name + '=0.5'}."
        )
    return name, value


def _check_parts(parts: Mapping[str, float], found: Channels) -> None:
    makers = dict.fromkeys(path for group in found.groups for path in group.makers)
    for path, part in parts.items():
        if path not in makers:
            raise ValueError(
                f"The 'channels' argument must name layers whose channels can be removed: {', '.join(makers)}. Got "
                f"{path!r} instead."
            )
        if isinstance(part, bool) or not isinstance(part, numbers.Real) or not 0 < part <= 1:
            raise ValueError(
                f"The 'channels' argument must give {path!r} a part in (0, 1] to keep. Got {part!r} instead. To keep "
                "half, pass 0.5."
            )


def _select(
    found: Channels,
    scores: np.ndarray,
    criterion: ScoreFunction,
    name: str,
    budget: Any,
    divisor: int,
    latency_of: Callable[[keras.Model], float] | None,
) -> np.ndarray:
    if budget == "zero":
        return keep_nonzero(found, scores, divisor)
    if name == "channels":
        return keep_ratio(found, scores, budget, divisor)
    measure = _latency(found, latency_of) if name == "latency" and latency_of else cost(found, name)
    if name != "latency" and budget < 1:
        budget = budget * measure(np.ones(found.count, bool))
    if criterion == "taylor":
        # The time saved by one channel is too short to measure: MACs are used in place of latency here.
        scores = per_saving(found, scores, cost(found, "macs") if name == "latency" else measure)
    return keep_within(found, scores, measure, budget, divisor)


def _latency(found: Channels, latency_of: Callable[[keras.Model], float]) -> Callable[[np.ndarray], float]:
    return lambda kept: latency_of(cut(found, kept))


# Why nothing was removed of a layer that could have lost channels.
_HIGHER = "its channels score higher than those removed"
_NONE_ZERO = "too few of its filters are zero to remove any"


def report_of(channels: Channels, kept: np.ndarray, divisor: int = 1, spared: str = _HIGHER) -> ShrinkReport:
    """The report of a cut: a row for each layer that makes channels, and costs before and after.

    Args:
        channels: what `channel_groups` found.
        kept: bool array with an entry per unit, as for `cut`.
        divisor: the divisor that channel counts were rounded to; the reasons in the report mention it.
        spared: the reason for a layer that could have lost channels and did not.
    """
    sizes, full, graph = Sizes(channels, kept), Sizes(), channels.graph
    slots = {id(slot.op): slot for slot in channels.slots if slot.role == MADE}
    rows, seen = [], set()
    for node in graph.nodes:
        if id(node.op) not in seen and (id(node.op) in slots or id(node.op) in channels.reasons):
            seen.add(id(node.op))
            rows.append(_row(channels, node, slots.get(id(node.op)), sizes, (divisor, spared)))
    try:
        macs = (macs_of(graph, full), macs_of(graph, sizes))
    except ValueError:
        macs = None  # they depend on an open input size
    params = (params_of(graph, full), params_of(graph, sizes))
    return ShrinkReport(
        graph.name, tuple(rows), params, macs, (bytes_of(graph, full), bytes_of(graph, sizes))
    )


def _row(
    channels: Channels, node: Node, slot: Slot | None, sizes: Sizes, options: tuple[int, str]
) -> ShrunkLayer:
    reason = channels.reasons.get(id(node.op), "")
    if slot is None:
        last = tensors_in(node.outputs)[0].shape[-1]
        return ShrunkLayer(node.path, last, last, reason=reason)
    before, after = slot.channels(len(slot.units)), slot.channels(int(sizes.mask(slot.units).sum()))
    groups = [group for group in channels.groups if node.path in group.makers]
    makers = dict.fromkeys(path for group in groups for path in group.makers)
    others = tuple(path for path in makers if path != node.path)
    if before == after and not reason:
        reason = _why_whole(channels, groups, *options)
    return ShrunkLayer(node.path, before, after, others, reason)


def _why_whole(channels: Channels, groups: list[Group], divisor: int, spared: str) -> str:
    if all(len(group.units) == 1 for group in groups):
        return "its channels can only be removed all together"
    if all(len(group.units) * group.width <= divisor for group in groups) and len(groups) == 1:
        return f"it has no more channels than divisor={divisor}"
    for family in families(channels):
        ones = [1] * len(family.sizes)
        here = any(group in groups for group in family.groups)
        if here and family.nearest(ones, ones, family.sizes, divisor) in (None, family.sizes):
            return f"no smaller number is a multiple of divisor={divisor} in all layers that it goes with"
    return spared


def _reasons(channels: Channels) -> str:
    paths = {id(node.op): node.path for node in channels.graph.nodes}
    return (
        "; ".join(f"{paths[op]}: {reason}" for op, reason in channels.reasons.items())
        or "it makes no channels"
    )
