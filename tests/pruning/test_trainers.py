"""The schedule beside every way to train: optimizers of one's own, loops of one's own, several updates per batch."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.pruning.nets import BATCHES, LOSS, conv_net, fit, kernels, zeros, zeros_at
from tfopt.pruning import PolynomialDecay, Pruning

SLOW = pytest.mark.slow


def dense(name: str, units: int, inputs: int) -> keras.Model:
    """A network of one kernel."""
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(units, name="dense")], name=name)


class TwoOptimizers(keras.Model):
    """A generator and a critic, each with its optimizer, as in a GAN; `fit`'s own optimizer does nothing.

    The critic makes `critic_steps` updates per batch, and the generator one in `generator_every` batches.
    """

    def __init__(self, critic_steps: int = 1, generator_every: int = 1) -> None:
        super().__init__(name="gan")
        self.generator, self.critic = dense("generator", 16, 8), dense("critic", 4, 16)
        self.critic_steps, self.generator_every = critic_steps, generator_every
        self.batch = tf.Variable(0, trainable=False)
        self.built = True

    def compile(self, **kwargs: Any) -> None:
        super().compile(**kwargs)
        self.optimizers = {"critic": keras.optimizers.Adam(0.01, name="critic_adam")}
        self.generator_optimizer = keras.optimizers.Adam(0.01, name="generator_adam")

    def call(self, x: Any) -> Any:
        return self.critic(self.generator(x))

    def train_step(self, data: Any) -> dict[str, Any]:
        x = tf.reshape(data[0], (-1, 64))[:, :8]
        for _ in range(self.critic_steps):
            self._update(self.optimizers["critic"], self.critic, x)
        self.batch.assign_add(1)
        if self.generator_every == 1:
            self._update(self.generator_optimizer, self.generator, x)
        else:
            self.generator_optimizer.build(self.generator.trainable_variables)
            tf.cond(
                self.batch % self.generator_every == 0,
                lambda: self._update(self.generator_optimizer, self.generator, x),
                lambda: None,
            )
        return {"loss": tf.constant(0.0)}

    def _update(self, optimizer: keras.optimizers.Optimizer, part: keras.Model, x: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self(x) - 1.0))
        gradients = tape.gradient(loss, [weight.value for weight in part.trainable_variables])
        optimizer.apply(gradients, part.trainable_variables)


# what the model does per batch, which layers are pruned, the steps after three epochs of eight batches
OPTIMIZERS = [
    ({}, None, 24, "generator_adam|critic_adam"),
    ({"critic_steps": 5}, "critic", 120, "critic_adam"),
    ({"critic_steps": 5}, "generator", 24, "generator_adam"),
    ({"critic_steps": 5}, None, 24, "generator_adam"),
    ({"generator_every": 4}, "generator", 6, "generator_adam"),
    ({"generator_every": 4}, "critic", 24, "critic_adam"),
]


@pytest.mark.parametrize(
    ("options", "where", "steps", "name"),
    [
        row if index < 2 or index == 4 else pytest.param(*row, marks=SLOW)
        for index, row in enumerate(OPTIMIZERS)
    ],
)
def test_steps_are_those_of_the_optimizer_that_moves_the_pruned_weights(
    options: dict[str, int], where: str | None, steps: int, name: str, blobs: Any
) -> None:
    model = TwoOptimizers(**options)
    model.compile(run_eagerly=True)
    pruning = Pruning(PolynomialDecay(0.75, steps, frequency=1), where)
    fit(model, blobs, [pruning])
    assert pruning.report.sparsity == 0.75
    # A run that goes on finds its step again.
    longer = Pruning(PolynomialDecay(0.75, 10 * steps, frequency=1), where)
    with pytest.warns(UserWarning, match=f"ended at step {2 * steps}, .*optimizer '({name})'.* Train longer"):
        fit(model, blobs, [longer])


def test_batches_are_counted_where_no_optimizer_of_the_model_makes_a_step(blobs: Any) -> None:
    class Plain(keras.Model):
        """Gradient descent by hand, which applies no constraints."""

        def __init__(self) -> None:
            super().__init__(name="plain")
            self.dense = keras.layers.Dense(16)
            self.dense.build((None, 64))
            self.built = True

        def train_step(self, data: Any) -> dict[str, Any]:
            self.dense.kernel.assign_sub(0.01 * tf.ones((64, 16)))
            return {"loss": tf.constant(0.0)}

    model = Plain()
    model.compile(jit_compile=False)
    pruning = Pruning(PolynomialDecay(0.75, 4 * BATCHES, frequency=1))
    with pytest.warns(UserWarning) as warnings:
        fit(model, blobs, [pruning])
    said = [str(warning.message) for warning in warnings]
    assert len(said) == 4  # one for each epoch, of which Python shows the first
    assert all("'plain' were written in this epoch in spite of their masks" in text for text in said[:3])
    assert "ended at step 24, " in said[3] and "Batches were counted" in said[3]
    assert pruning.report.sparsity == round(1024 * pruning.schedule(24)) / 1024


@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("traced", [False, pytest.param(True, marks=SLOW)])
def test_a_loop_with_a_gradient_tape(traced: bool, history: bool, blobs: Any) -> None:
    model, optimizer = conv_net(), keras.optimizers.Adam(0.01)
    pruning = Pruning(PolynomialDecay(0.75, 3 * BATCHES, frequency=2))
    callbacks = keras.callbacks.CallbackList([pruning], model=model, add_history=history, steps=BATCHES)
    seen = loop(model, optimizer, callbacks, blobs, tf.function if traced else lambda step: step)
    assert seen == [zeros_at(model, pruning.schedule(step)) for step in range(1, 3 * BATCHES + 1)]
    assert all(weight.constraint is None for weight in model.trainable_weights)


def loop(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    callbacks: keras.callbacks.CallbackList,
    blobs: Any,
    wrap: Callable[[Any], Any],
) -> list[list[int]]:
    """Three epochs; the zeros after each step."""

    def step(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            loss = LOSS(y, model(x, training=True))
        weights = model.trainable_variables
        optimizer.apply(tape.gradient(loss, [weight.value for weight in weights]), weights)

    step = wrap(step)
    seen = []
    callbacks.on_train_begin()
    for epoch in range(3):
        callbacks.on_epoch_begin(epoch)
        for batch in range(BATCHES):
            callbacks.on_train_batch_begin(batch)
            step(*(array[32 * batch : 32 * batch + 32] for array in blobs))
            callbacks.on_train_batch_end(batch)
            seen.append(zeros(model))
        callbacks.on_epoch_end(epoch, {})
    callbacks.on_train_end()
    return seen


class Restore(keras.callbacks.Callback):
    """Puts back the weights of the end of the first epoch, as any callback may."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 0:
            self.kept = self.model.get_weights()

    def on_train_end(self, logs: Any = None) -> None:
        self.model.set_weights(self.kept)


def best(**kwargs: Any) -> keras.callbacks.Callback:
    """Holds the first epoch to be the best: the loss falls, and is said to be the better the higher."""
    return keras.callbacks.EarlyStopping("loss", mode="max", patience=9, restore_best_weights=True, **kwargs)


class LoadCheckpoint(keras.callbacks.Callback):
    """Loads what ModelCheckpoint has written in the first epoch."""

    def __init__(self, path: Any) -> None:
        super().__init__()
        self.path = path

    def on_train_end(self, logs: Any = None) -> None:
        self.model.load_weights(self.path)


# name: the callbacks besides Pruning, the optimizer's options, and whether the weights at the end are those of an
# earlier epoch, of which the user is told
OTHERS: dict[str, tuple[Callable[[Any], list[keras.callbacks.Callback]], dict[str, Any], bool]] = {
    "early_stopping": (lambda path: [best()], {}, True),
    "early_stopping_late": (lambda path: [best(start_from_epoch=2)], {}, False),
    "checkpoint_and_load": (
        lambda path: [
            keras.callbacks.ModelCheckpoint(
                path / "best.weights.h5", "loss", mode="max", save_best_only=True, save_weights_only=True
            ),
            LoadCheckpoint(path / "best.weights.h5"),
        ],
        {},
        True,
    ),
    "restore": (lambda path: [Restore()], {}, True),
    "ema": (lambda path: [], {"use_ema": True}, False),
    "ema_swapped_for_validation": (lambda path: [keras.callbacks.SwapEMAWeights()], {"use_ema": True}, False),
    "ema_swapped_each_epoch": (
        lambda path: [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)],
        {"use_ema": True},
        False,
    ),
    "backup": (lambda path: [keras.callbacks.BackupAndRestore(path / "backup")], {}, False),
    "others": (
        lambda path: [
            keras.callbacks.ReduceLROnPlateau("loss"),
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.History(),
        ],
        {},
        False,
    ),
}


class Files(keras.callbacks.Callback):
    """The zeros that a checkpoint of each epoch would hold, and those during validation."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[int]] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seen.append(zeros(self.model))

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch == 0:
            self.seen.append(zeros(self.model))


DEFAULT = {
    ("early_stopping", True),
    ("early_stopping", False),
    ("ema_swapped_each_epoch", True),
    ("restore", True),
}


@pytest.mark.parametrize(
    ("name", "first"),
    [
        pytest.param(name, first, marks=[] if (name, first) in DEFAULT else SLOW)
        for name in OTHERS
        for first in (True, False)
    ],
)
def test_zeros_are_exact_in_every_order_of_callbacks(
    name: str, first: bool, blobs: Any, tmp_path: Any
) -> None:
    others, options, restored = OTHERS[name]
    model = conv_net()
    model.compile(keras.optimizers.Adam(0.01, **options), LOSS, jit_compile=False)
    pruning = Pruning(PolynomialDecay(0.75, 2 * BATCHES, frequency=BATCHES // 2))
    files = Files()
    callbacks = [pruning, *others(tmp_path)] if first else [*others(tmp_path), pruning]
    validation = {"validation_data": blobs, "validation_batch_size": 256}
    if restored:
        with pytest.warns(
            UserWarning, match=r"held 65\.\d % zeros instead of 75.0 %: a callback has put back"
        ):
            fit(model, blobs, [*callbacks, files], **validation)
    else:
        fit(model, blobs, [*callbacks, files], **validation)
    assert zeros(model) == zeros_at(model, 0.75)
    expected = [zeros_at(model, pruning.schedule(epoch * BATCHES)) for epoch in (1, 1, 2, 2, 3, 3)]
    assert files.seen == expected
    assert all(kernel.constraint is None for kernel in kernels(model))
    # A later assignment is the user's own business.
    model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
    assert zeros(model) == [0, 0, 0]
