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


def drive(model: keras.Model, pruning: Any, epochs: int = 3, steps: int = BATCHES) -> dict[str, list[float]]:
    """What `fit` does to Pruning and the pruned weights, with noise in the place of gradients; returns the history.

    It takes a tenth of the time of `fit`, which compiles.
    """
    rng = np.random.default_rng(0)
    model.optimizer.build(model.trainable_variables)
    pruning.set_model(model)
    pruning.set_params({"epochs": epochs, "steps": steps})
    pruning.on_train_begin()
    history: dict[str, list[float]] = {}
    for epoch in range(epochs):
        pruning.on_epoch_begin(epoch)
        for batch in range(steps):
            pruning.on_train_batch_begin(batch)
            for weight in model.trainable_variables:
                if weight.constraint is not None:
                    noise = rng.normal(0.0, 0.01, weight.shape).astype("float32")
                    weight.assign(weight.constraint(weight.numpy() + noise))
            model.optimizer.iterations.assign_add(1)
        logs: dict[str, float] = {}
        pruning.on_epoch_end(epoch, logs)
        for name, value in logs.items():
            history.setdefault(name, []).append(value)
    pruning.on_train_end()
    return history


def kernels(model: keras.Model) -> list[keras.Variable]:
    """The weights that Pruning prunes by default."""
    return [w for w in model.trainable_weights if w.name == "kernel" and "depthwise" not in w.path]


def zeros(model: keras.Model) -> list[int]:
    """Zeros in each kernel."""
    return [int(np.sum(kernel.numpy() == 0)) for kernel in kernels(model)]


def zeros_at(model: keras.Model, sparsity: float) -> list[int]:
    """Zeros that each kernel must have."""
    return [zero_count(sparsity, kernel.numpy().size) for kernel in kernels(model)]
