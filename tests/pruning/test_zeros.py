"""Zeros are exact after every update. A new optimizer or way to train adds a row to OPTIMIZERS or WAYS."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.optimizers import SGD, Adam, AdamW

from tests.pruning.nets import BATCHES, compiled_net, conv_net, drive, fit, kernels, zeros, zeros_at
from tests.strategies import two_devices
from tfopt.pruning import ConstantSparsity, PolynomialDecay, Pruning

OPTIMIZERS = {
    "momentum": lambda: SGD(0.1, momentum=0.9),
    "adam": lambda: Adam(0.01),
    "adamw": lambda: AdamW(0.01, weight_decay=0.1),
    "ema": lambda: Adam(0.01, use_ema=True, ema_momentum=0.9),
    "ema_overwrite": lambda: Adam(0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=5),
    "accumulation": lambda: Adam(0.01, gradient_accumulation_steps=2),
    "loss_scale": lambda: keras.optimizers.LossScaleOptimizer(Adam(0.01)),
}
# Under MirroredStrategy neither XLA nor several steps per execution work in plain Keras 3.15 on TensorFlow 2.21.
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "xla": {"jit_compile": True},
    "eight_steps": {"steps_per_execution": 8},
    "xla_five_steps": {"jit_compile": True, "steps_per_execution": 5},
    "eager": {"run_eagerly": True},
    "mirrored": {"strategy": True},
    "mixed_float16": {"net": lambda: conv_net(policy="mixed_float16")},
    "traced": {"traced": True},
}
# What writes weights, counts steps or traces in a way of its own.
PAIRS = [
    ("momentum", "traced"),
    ("adam", "mirrored"),
    ("adamw", "eight_steps"),
    ("ema_overwrite", "xla"),
    ("accumulation", "eager"),
]
# The other optimizers and ways, and those together that both count steps, skip updates or write weights. Not
# ema_overwrite and accumulation under a strategy: plain Keras fails there ("merge_call called while defining ...").
SLOW_PAIRS = [
    ("momentum", "plain"),
    ("adam", "xla_five_steps"),
    ("ema", "mirrored"),
    ("ema_overwrite", "eight_steps"),
    ("accumulation", "eight_steps"),
    ("accumulation", "xla_five_steps"),
    ("loss_scale", "mirrored"),
    ("loss_scale", "mixed_float16"),
    ("loss_scale", "eight_steps"),
]


class Watch(keras.callbacks.Callback):
    """Keeps the zeros of every kernel after each execution, by optimizer step."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[int, list[int]] = {}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen[int(np.asarray(self.model.optimizer.iterations))] = zeros(self.model)


@pytest.mark.parametrize(
    ("optimizer", "way"),
    [*PAIRS, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in SLOW_PAIRS)],
)
def test_zeros_are_exact_at_every_step(optimizer: str, way: str, blobs: Any) -> None:
    options = dict(WAYS[way])
    traced = options.pop("traced", False)
    if options.get("strategy"):
        options["strategy"] = two_devices()
    model = compiled_net(OPTIMIZERS[optimizer], **options)
    steps_per_epoch = BATCHES // (2 if optimizer == "accumulation" else 1)
    start = 0
    if traced:
        fit(model, blobs, epochs=1)
        assert zeros(model) == [0, 0, 0]
        start = steps_per_epoch
    schedule = PolynomialDecay(0.75, start + 2 * steps_per_epoch, begin_step=start + 1, frequency=3)
    watch = Watch()
    history = fit(model, blobs, [watch, Pruning(schedule)])
    assert zeros(model) == zeros_at(model, 0.75)
    assert history["sparsity"][-1] == sum(zeros(model)) / sum(
        kernel.numpy().size for kernel in kernels(model)
    )
    if optimizer != "loss_scale":  # which may skip updates
        assert max(watch.seen) == start + 3 * steps_per_epoch
        assert watch.seen == {step: zeros_at(model, schedule(step)) for step in watch.seen}
    assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)


def test_a_later_fit_without_the_callback_is_not_masked(blobs: Any) -> None:
    model = compiled_net(OPTIMIZERS["adam"])
    fit(model, blobs, [Pruning(ConstantSparsity(0.75))], epochs=1)
    assert zeros(model) == zeros_at(model, 0.75)
    fit(model, blobs, epochs=1)
    # Weights of a channel that pruning has cut off get no gradient, and stay zero.
    assert sum(zeros(model)) < 0.05 * sum(zeros_at(model, 0.75))


def test_the_last_execution_of_an_epoch_may_be_shorter(blobs: Any) -> None:
    model = compiled_net(OPTIMIZERS["adam"], steps_per_execution=5)
    schedule = PolynomialDecay(0.75, 2 * BATCHES, frequency=1)
    history = fit(model, blobs, [Pruning(schedule)], epochs=2)
    sizes = [kernel.numpy().size for kernel in kernels(model)]
    assert history["sparsity"] == [sum(zeros_at(model, schedule(step))) / sum(sizes) for step in (8, 16)]


def test_weights_are_masked_before_the_step_that_follows_a_new_mask(blobs: Any) -> None:
    seen: list[list[int]] = []

    class Before(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            seen.append(zeros(self.model))

    model = compiled_net(OPTIMIZERS["adam"])
    schedule = PolynomialDecay(0.75, BATCHES, frequency=2)
    fit(model, blobs, [Pruning(schedule), Before()], epochs=1)
    assert seen == [zeros_at(model, schedule(step)) for step in range(1, BATCHES + 1)]


@pytest.mark.parametrize("epochs", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_steps_per_execution_with_an_unknown_and_uneven_number_of_batches(epochs: int, blobs: Any) -> None:
    batches = tf.data.Dataset.from_tensor_slices(blobs).batch(20).filter(lambda x, y: True)  # 13 of them
    model = compiled_net(lambda: Adam(0.01), steps_per_execution=5)
    schedule = PolynomialDecay(0.75, 13 * epochs, frequency=2)
    with pytest.warns(UserWarning, match="ran out of data"):
        model.fit(batches, epochs=epochs, callbacks=[Pruning(schedule)], verbose=0, shuffle=False)
    assert zeros(model) == zeros_at(model, 0.75)


def test_updates_only_when_the_schedule_moves(blobs: Any) -> None:
    asked: list[int] = []

    def schedule(step: int) -> float:
        asked.append(step)
        return 0.5 if step >= 10 else 0.25

    model = compiled_net(OPTIMIZERS["adam"])
    watch = Watch()
    fit(model, blobs, [Pruning(schedule), watch], epochs=2)
    assert sorted(set(asked)) == list(range(2 * BATCHES + 1))
    quarter, half = zeros_at(model, 0.25), zeros_at(model, 0.5)
    assert watch.seen == {step: half if step >= 10 else quarter for step in range(1, 2 * BATCHES + 1)}


def test_zero_initialized_kernels_get_the_exact_count_and_the_rest_trains(blobs: Any) -> None:
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Flatten(),
        keras.layers.Dense(4, kernel_initializer="zeros"),
    ]
    model = compiled_net(OPTIMIZERS["adam"], net=lambda: keras.Sequential(layers))
    fit(model, blobs, [Pruning(ConstantSparsity(0.9))])
    assert zeros(model) == [round(0.9 * 256)]


@pytest.mark.parametrize("sparsity", [0.0, 0.99, 399 / 400])
def test_extreme_sparsities(sparsity: float) -> None:
    model = compiled_net(OPTIMIZERS["adam"])
    drive(model, Pruning(ConstantSparsity(sparsity)), epochs=1)
    assert zeros(model) == zeros_at(model, sparsity)
    assert zeros(model)[1] == round(400 * sparsity)
