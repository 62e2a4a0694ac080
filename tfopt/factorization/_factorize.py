"""`factorize`: layers with large kernels become several with small ones."""

import dataclasses
import numbers
from collections.abc import Mapping, Sequence, Set
from typing import Any

import keras
import numpy as np

from tfopt._replicas import average_statistics
from tfopt.factorization._convolutions import METHODS
from tfopt.factorization._factors import factors_of
from tfopt.factorization._inputs import Inputs, measure_inputs
from tfopt.factorization._latency import LatencyOf, within_latency
from tfopt.factorization._outcome import report_of
from tfopt.factorization._parts import Factors
from tfopt.factorization._select import Ranks, as_given, by_energy, within_budget
from tfopt.graph import (
    Expansion,
    Graph,
    LayerFilter,
    Node,
    build_model,
    capture,
    check_finite,
    flatten_layers,
    inline,
    own_weights,
    selects,
)
from tfopt.kernels import IntegerModel
from tfopt.shrinking import count_macs


def factorize(
    model: keras.Model,
    *,
    energy: float | None = None,
    params: float | None = None,
    macs: float | None = None,
    bytes: float | None = None,
    latency: float | None = None,
    ranks: Mapping[str, float | Sequence[int]] | None = None,
    method: str = "tucker",
    where: LayerFilter = None,
    calibration: Any = None,
    latency_of: LatencyOf | None = None,
) -> keras.Model:
    """Replaces layers with large kernels by several with small ones, whose product is close to them.

    The matrix of a `Dense`, `EinsumDense`, `Embedding` or pointwise convolution becomes two, by its singular value
    decomposition. The kernel of a convolution becomes a small one between two pointwise ones, Tucker-2 (Kim et al.
    2016, https://arxiv.org/abs/1511.06530), of which one of full rank is left out; or a depthwise one between two
    pointwise ones, canonical polyadic (CP; Lebedev et al. 2015, https://arxiv.org/abs/1412.6553), which at the same
    cost is closer to the kernel, but has more channels between. The last of them keeps the layer's name, bias and
    activation. A layer is factorized only where its factors are cheaper; the report says why one is not. Fine-tune the
    result afterwards.

    With samples in `calibration` factors keep what a layer makes of its inputs (`|X W - X A B|` is least) rather than
    its kernel (`|W - A B|`), which is far better wherever inputs lie in few directions: no inputs, no error. Energies
    and errors are then those of the outputs.

    Exactly one of the first six arguments says how far to go. The budgets find the largest part of its energy, the
    sum of the squares of the singular values, that every layer can keep within them. The energy that CP keeps is
    measured at a few ranks and interpolated; the report's errors are what it came to.

    Args:
        model: a built Keras model of any form, not quantized. It is not changed.
        energy: the part of its energy that each layer keeps, in (0, 1].
        params: parameters that are left: a part in (0, 1), or a count from 1 up.
        macs: multiply-accumulates for one sample that are left: a part in (0, 1), or a count.
        bytes: bytes of the int8 file that are left, as estimated from its weights: a part in (0, 1), or a count.
        latency: milliseconds of one call, by `latency_of`: of the int8 .tflite file on LiteRT on this machine, one
            thread. Layers are factorized where that makes them faster, alone.
        ranks: the rank of each layer, by its path or name: `{"dense": 16, "conv": (8, 12)}`, two for a convolution: of
            its inputs and of its outputs; one with CP. Others are left as they are.
        method: how convolutions are taken apart: `"tucker"` or `"cp"`.
        where: which layers may be factorized: a regular expression searched in the layer's path, or a function
            `layer -> bool`. All by default.
        calibration: samples as for `quantize`, a few hundred; more rows than a layer has inputs. None: kernels alone.
        latency_of: how to measure `latency`: a function from a float model to milliseconds. `tfopt.factorize` measures
            the int8 file on LiteRT.

    Returns:
        A new, uncompiled Functional model, and a `report` attribute: a `FactorizationReport`.

    Raises:
        ValueError: there is not exactly one of the first six arguments or it is out of range, the budget is below
            what rank 1 costs, no layer has factors, or the model is quantized or not built.
        TypeError: `model` is not a Keras 3 model.

    Example:

    >>> import keras
    >>> from tfopt.factorization import factorize
    >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, name="dense")], name="net")
    >>> small = factorize(model, params=0.5)
    >>> small.report.layers[0].ranks, model.count_params(), small.count_params()
    ((15,), 4160, 1984)
    """
    budgets = {"energy": energy, "params": params, "macs": macs, "bytes": bytes, "latency": latency}
    name, amount = _one({**budgets, "ranks": ranks})
    if method not in METHODS:
        raise ValueError(
            f"The 'method' argument must be {' or '.join(map(repr, METHODS))}. Got {method!r} instead."
        )
    if name == "latency" and latency_of is None:
        raise ValueError(
            f"The 'latency_of' argument must say how to measure latency={latency!r}. Got none: call tfopt.factorize, "
            "which measures the int8 file, or pass a function from a float model to milliseconds."
        )
    if isinstance(model, IntegerModel):
        raise ValueError(
            "The 'model' argument must be a float model. Got a quantized one. Factorize the model that it was made "
            "from, and quantize the result."
        )
    average_statistics(model)
    graph = capture(model)
    check_finite(model)
    factors, reasons = _find(graph, where, calibration, set(amount) if name == "ranks" else None, method)
    if not factors:
        why = "; ".join(f"{path}: {reason}" for path, reason in reasons.values()) or "it has no kernels"
        raise ValueError(
            f"The model {model.name!r} must have a layer that has factors. Got none: {why}. Let 'where' select more "
            "layers."
        )

    def build(chosen: Sequence[Ranks | None]) -> keras.Model:
        return build_model(graph.map_nodes(_expander(factors, dict(zip(factors, chosen, strict=True)))))

    if latency_of is not None and name == "latency":
        chosen = within_latency(list(factors.values()), amount, latency_of, build)
    else:
        chosen = _choose(model, list(factors.values()), name, amount)
    found = dict(zip(factors, chosen, strict=True))
    small = build(chosen)
    small.report = report_of((model, small), graph, factors, found, reasons, _why_whole(name, chosen))
    return small


def _one(arguments: dict[str, Any]) -> tuple[str, Any]:
    given = {name: value for name, value in arguments.items() if value is not None}
    if len(given) != 1:
        got = " and ".join(f"{name}={value!r}" for name, value in given.items()) or "none"
        raise ValueError(
            f"factorize needs exactly one of energy, params, macs, bytes, latency and ranks. Got {got}. For half of "
            "the parameters pass params=0.5."
        )
    name, value = next(iter(given.items()))
    if name == "ranks":
        return name, value
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not 0 < value < (1 + 1e-9 if name == "energy" else float("inf")):
        expected = {"energy": "a part in (0, 1]", "latency": "milliseconds, above 0"}.get(
            name, "a part in (0, 1), or a count of at least 1"
        )
        raise ValueError(f"The '{name}' argument must be {expected}. Got {value!r} instead. Pass {name}=0.5.")
    return name, value


def _find(
    graph: Graph, where: LayerFilter, calibration: Any, named: Set[str] | None, method: str
) -> tuple[dict[int, Factors], dict[int, tuple[str, str]]]:
    """The layers that have factors, and the path of each other one with a kernel, and why it has none.

    Where layers are named, it is the inputs of these alone that are measured.
    """
    read: dict[int, Inputs] = {}
    if calibration is not None:
        nodes = [node for node in graph.nodes if selects(where, node.op, node.path)]
        if named is not None:
            chosen = {id(node.op) for node in nodes if not named.isdisjoint((node.op.name, node.path))}
            nodes = [node for node in nodes if id(node.op) in chosen]
        read = measure_inputs(graph, nodes, calibration)
    factors: dict[int, Factors] = {}
    reasons: dict[int, tuple[str, str]] = {}
    for node in graph.nodes:
        key = id(node.op)
        if key in reasons:
            continue
        found = factors_of(node, read.get(key), method)
        if isinstance(found, str):
            if found:
                reasons[key] = node.path, found
        elif not selects(where, node.op, node.path):
            reasons[key] = node.path, "'where' does not select it"
        elif key in factors:
            factors[key] = dataclasses.replace(factors[key], others=(*factors[key].others, found))
        else:
            factors[key] = found
    return factors, reasons


def _choose(model: keras.Model, factors: list[Factors], name: str, amount: Any) -> list[Ranks | None]:
    if name == "ranks":
        return as_given(factors, amount)
    if name == "energy":
        return by_energy(factors, amount, "params")
    whole = sum(layer.cost(None, name) for layer in factors)
    total = _total(model, name, {id(layer.op) for layer in factors}, whole)
    budget = amount * total if amount < 1 else amount
    found = within_budget(factors, budget, total - whole, name)
    if found is None:
        least = (
            total - whole + sum(min(f.cost((1,) * len(f.spectra), name), f.cost(None, name)) for f in factors)
        )
        raise ValueError(
            f"The '{name}' argument must leave at least {least:,}, what rank 1 in every layer costs. Got {amount!r} of "
            f"{total:,}. Raise it, or shrink the model first."
        )
    return found


def _total(model: keras.Model, of: str, factorized: set[int], whole: int) -> int:
    """What the model costs."""
    if of == "macs":
        return count_macs(model)
    if of == "params":
        return model.count_params()
    # The kernels of the layers that have factors are in `whole`; each of them has one.
    return whole + sum(
        int(np.prod(w.shape)) * (1 if len(w.shape) > 1 else 4)
        for layer in flatten_layers(model)
        for w in own_weights(layer)
        if id(layer) not in factorized or len(w.shape) == 1
    )


def _why_whole(name: str, chosen: Sequence[Ranks | None]) -> str:
    """Why a layer that has factors is as it was."""
    if name == "ranks":
        return "not in 'ranks'"
    if name == "latency":
        return "its factors are not faster" if any(chosen) else "the model is fast enough"
    return "its factors are not cheaper"


def _expander(factors: Mapping[int, Factors], ranks: Mapping[int, Ranks | None]):
    """What replaces the nodes of a layer by those of its factors, the same ones at each call."""
    made: dict[int, list[keras.layers.Layer]] = {}

    def expand(node: Node) -> Expansion | None:
        key = id(node.op)
        chosen = ranks.get(key)
        if chosen is None:
            return None
        parts = made.setdefault(key, factors[key].make(chosen))

        def apply(x: Any) -> Any:
            for layer in parts:
                x = layer(x)
            _fill(node.op, parts, factors[key].split(chosen))
            return x

        return inline(node, apply)

    return expand


def _fill(old: keras.layers.Layer, parts: list[keras.layers.Layer], kernels: Sequence[np.ndarray]) -> None:
    """Gives the layers their kernels, and the last one the old one's bias."""
    for layer, kernel in zip(parts, kernels, strict=True):
        bias = [np.asarray(old.bias)] if getattr(layer, "bias", None) is not None else []
        layer.set_weights([kernel.astype("float32"), *bias])
