"""A tiny Keras 2 model for each row; run as a program of its own, for Keras 2 changes its process.

`python -m tests.legacy.convert_rows` prints as JSON, for each row, how far the converted model is off, or the error.
"""

import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.legacy.function_rows import FUNCTIONS, NODES, node_layer
from tests.legacy.layer_rows import IDS, LAYERS, MERGES, REFUSED, SEQUENCE, SEQUENTIAL, TYPES

# Cells are in the rows of RNN; the others are bases of layers, or belong to TensorFlow 1.
NO_LAYERS = (
    *(
        "LSTMCell",
        "GRUCell",
        "SimpleRNNCell",
        "StackedRNNCells",
        "AbstractRNNCell",
        "RNN",
        "InputLayer",
        "Layer",
    ),
    *("Wrapper", "DenseFeatures"),
)


def models() -> dict[str, Callable[[], Any]]:
    """What makes each model; a row that fails must not stop the others."""
    import tensorflow as tf
    import tf_keras

    L = tf_keras.layers
    rows: dict[str, Callable[[], Any]] = {}

    def model(shapes: Any, build: Callable[[list[Any]], Any], dtype: str | None = None) -> Any:
        inputs = [tf_keras.Input(shape, dtype=dtype) for shape in shapes]
        return tf_keras.Model(inputs[0] if len(inputs) == 1 else inputs, build(inputs))

    for name, (shape, build) in LAYERS.items():
        rows[name] = lambda shape=shape, build=build: model([shape], lambda x: build(L)(x[0]))
    for name, (dtype, build) in TYPES.items():
        rows[name] = lambda dtype=dtype, build=build: model([IDS], lambda x: build(L)(x[0]), dtype)
    for name in SEQUENTIAL:
        shape, build = LAYERS[name]
        rows[f"{name} in Sequential"] = lambda shape=shape, build=build: tf_keras.Sequential(
            [tf_keras.Input(shape), build(L)]
        )
    for name, (shapes, merge) in MERGES.items():
        rows[name] = lambda shapes=shapes, merge=merge: model(shapes, lambda x: merge(L, x))
    for name, function in FUNCTIONS.items():
        rows[name] = lambda function=function: model(
            [SEQUENCE, SEQUENCE], lambda x: function(tf, x[0] + x[1], x[1])
        )
    for name, node in NODES.items():
        rows[f"{name} of a graph"] = lambda node=node: model([SEQUENCE], lambda x: node_layer(*node)(x[0]))
    for name, (build, _) in REFUSED.items():
        rows[f"refused {name}"] = lambda build=build: model([SEQUENCE], lambda x: build(tf, L, x[0]))
    return rows


def missing() -> list[str]:
    """The stock layers without a row, by name."""
    import tf_keras

    classes = {one for one in vars(tf_keras.layers).values() if isinstance(one, type)}
    named = {name.split(",")[0] for table in (LAYERS, TYPES, MERGES, REFUSED) for name in table} | set(
        NO_LAYERS
    )
    kinds = {one.__name__ for one in classes if issubclass(one, tf_keras.layers.Layer)}
    return sorted(kinds - named)


def randomize(model: Any) -> None:
    """Weights that are not what they are at the start, and no variances below 0."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if "float" in weight.dtype.name:
            weight.assign(rng.uniform(0.2, 0.8, weight.shape))


def main() -> None:
    warnings.simplefilter("ignore")
    from tfopt.legacy._compare import compare
    from tfopt.legacy._from_keras2 import from_keras2

    results: dict[str, Any] = {"missing": missing()}
    for name, make in models().items():
        try:
            model = make()
            if "adapted" not in name:
                randomize(model)
            results[name] = compare(model, from_keras2(model))
        except Exception as error:
            results[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(results))


if __name__ == "__main__":
    main()
