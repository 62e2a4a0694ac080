"""Small models, and what the tests of this folder ask of them."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfopt.pruning import zero_count

BATCHES = 8  # of 32 in the `blobs` fixture: one epoch
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def conv_net(constraint: Any = None, policy: str = "float32", head: bool = True) -> keras.Model:
    """Conv, batch norm, ReLU, depthwise conv, Dense: 72 + 400 weights to prune."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, strides=2, kernel_constraint=constraint, dtype=policy, name="conv"),
            layers.BatchNormalization(dtype=policy, name="norm"),
            layers.ReLU(dtype=policy, name="relu"),
            layers.DepthwiseConv2D(2, padding="same", dtype=policy, name="depthwise"),
            layers.GlobalAveragePooling2D(dtype=policy, name="pool"),
            layers.Dense(50, kernel_constraint=constraint, dtype=policy, name="dense"),
            *([layers.Dense(4, dtype="float32", name="head")] if head else []),
        ],
        name="net",
    )


def compiled_net(
    optimizer: Callable[[], keras.optimizers.Optimizer],
    strategy: Any = None,
    net: Any = conv_net,
    **compile_args: Any,
) -> keras.Model:
    """A net compiled for `blobs`, in the scope of a strategy."""
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = net()
        model.compile(optimizer(), LOSS, **{"jit_compile": False, **compile_args})
    return model


def fit(
    model: keras.Model, blobs: Any, callbacks: Any = (), epochs: int = 3, **kwargs: Any
) -> dict[str, list[float]]:
    """Train without shuffling, so that two runs compare; returns the history."""
    history = model.fit(
        *blobs, batch_size=32, epochs=epochs, callbacks=list(callbacks), shuffle=False, verbose=0, **kwargs
    )
    return history.history


def kernels(model: keras.Model) -> list[keras.Variable]:
    """The weights that Pruning prunes by default."""
    return [w for w in model.trainable_weights if w.name == "kernel" and "depthwise" not in w.path]


def zeros(model: keras.Model) -> list[int]:
    """Zeros in each kernel."""
    return [int(np.sum(kernel.numpy() == 0)) for kernel in kernels(model)]


def zeros_at(model: keras.Model, sparsity: float) -> list[int]:
    """Zeros that each kernel must have."""
    return [zero_count(sparsity, kernel.numpy().size) for kernel in kernels(model)]
