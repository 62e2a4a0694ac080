"""How far each output of a quantized network is from the float one's: what all roundings up to it have cost."""

import dataclasses
from collections import defaultdict
from typing import Any

import keras
import numpy as np

from tfopt._samples import gather
from tfopt.graph import Node, capture
from tfopt.quantization._report import QuantizationReport, sqnr_db
from tfopt.quantization.post_training._layerwise import Values, run_side_by_side
from tfopt.quantization.simulation._fake_quantize import FakeQuantize

_SAMPLES = 32


def measure_activations(model: keras.Model, samples: Any) -> QuantizationReport:
    """The report of a quantized model with the error of each layer's output against the float network.

    `10 log10(sum y^2 / sum (y - y_q)^2)` in decibels: `y` is the output in the network of the same weights without any
    rounding, `y_q` that in the quantized one, whose earlier layers are rounded too. Where the number falls from one
    layer to the next, that layer is what costs.

    Args:
        model: what `quantize` returned, trained or not.
        samples: inputs, in any form that `fit` takes; 32 of them are used.

    Returns:
        The model's report, whose rows have `network_db`, and whose `by_damage()` sorts by it.

    Raises:
        ValueError: the model is not quantized, or the samples are empty or not finite.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> from tfopt.quantization import measure_activations
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, activation="relu", name="dense")])
    >>> x = np.random.default_rng(0).normal(size=(64, 4))
    >>> (row,) = measure_activations(tfopt.quantize(model, x), x).by_damage()
    >>> row.path, 30 < row.network_db < 50
    ('dense', True)
    """
    report = getattr(model, "report", None)
    if not isinstance(report, QuantizationReport):
        raise ValueError(
            f"The 'model' argument must be what tfopt.quantize returned. Got {type(model).__name__} without a report. "
            "Quantize it first."
        )
    found: dict[tuple[str, int], list[float]] = defaultdict(list)

    def after(node: Node, twin: keras.Operation, exact: Values, rounded: Values) -> None:
        if isinstance(node.op, FakeQuantize):
            key = id(node.output)
            found[node.op.name, node.kwargs.get("site", 0)].append(sqnr_db(exact[key], rounded[key]))

    x, _ = gather(samples, model.inputs, "samples")
    rows = np.linspace(0, len(keras.tree.flatten(x)[0]) - 1, _SAMPLES).astype(int)
    run_side_by_side(
        capture(model), keras.tree.map_structure(lambda array: array[np.unique(rows)], x), None, after
    )
    measured = tuple(
        dataclasses.replace(row, network_db=min(found[row.quantizer, row.site], default=None))
        for row in report.layers
    )
    return dataclasses.replace(report, layers=measured)
