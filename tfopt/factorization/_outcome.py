"""The report of a factorization: what became of each layer."""

from collections.abc import Mapping

import keras
import numpy as np

from tfopt.factorization._parts import Factors
from tfopt.factorization._report import FactorizationReport, FactorizedLayer
from tfopt.factorization._select import Ranks
from tfopt.graph import Graph
from tfopt.shrinking import count_macs


def report_of(
    models: tuple[keras.Model, keras.Model],
    graph: Graph,
    factors: Mapping[int, Factors],
    ranks: Mapping[int, Ranks | None],
    reasons: Mapping[int, tuple[str, str]],
    left: str,
) -> FactorizationReport:
    """A row for each layer with a kernel.

    Args:
        models: before and after.
        graph: of the model before.
        factors: the layers that have factors, by their ids.
        ranks: which of these they were given.
        reasons: path of each other layer, and why it has none.
        left: why a layer that has factors was given none.
    """
    model, small = models
    rows: dict[int, FactorizedLayer] = {}
    for node in graph.nodes:
        key = id(node.op)
        if key in reasons:
            path, reason = reasons[key]
            size = sum(int(np.prod(w.shape)) for w in node.op.weights if len(w.shape) > 1)
            rows[key] = FactorizedLayer(path, size, size, reason=reason)
        elif key in factors and key not in rows:
            layer, chosen = factors[key], ranks[key]
            before = layer.whole.values
            rows[key] = (
                FactorizedLayer(layer.path, before, before, reason=left)
                if chosen is None
                else FactorizedLayer(
                    layer.path, before, layer.cost(chosen, "params"), chosen, _error(layer, chosen)
                )
            )
    try:
        macs = (count_macs(model), count_macs(small))
    except ValueError:
        macs = None  # they depend on an open input size
    return FactorizationReport(
        model.name, tuple(rows.values()), (model.count_params(), small.count_params()), macs
    )


def _error(layer: Factors, ranks: Ranks) -> float:
    size = float(np.linalg.norm(layer.kernel))
    return float(np.linalg.norm(layer.kernel - layer.product(ranks))) / size if size else 0.0
