"""What pruning costs: CPU time of a training step with and without the callback, and of one mask update.

    python -m tests.benchmarks.pruning_cost

Both ways train in one process, in turns, and the least disturbed round of each counts, as machines are noisy.
Steps that trace are not counted; one mask update and the end of an epoch are. Goal: a ratio of at most 1.02.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import time
from typing import Any

import keras
import numpy as np

from tfopt.pruning import PolynomialDecay, Pruning, magnitude, unstructured_mask
from tfopt.pruning._backend import compiled

ROUNDS = 3
WARM_UP = 10  # steps that trace, before the clock starts
STEPS = 100  # as many as lie between two mask updates by default


class StepTimer(keras.callbacks.Callback):
    """CPU seconds of the process per step, from the end of the warm-up to the end of the epoch."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch == WARM_UP:
            self.start = time.process_time()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds = (time.process_time() - self.start) / STEPS


def conv_net() -> keras.Model:
    """130,000 weights, most of the time in the convolutions, like most vision models."""
    layers = [keras.Input((16, 16, 16))]
    for filters in (32, 64, 128):
        layers += [
            keras.layers.Conv2D(
                filters, 3, strides=1 if filters == 32 else 2, padding="same", use_bias=False
            ),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)])


def dense_net() -> keras.Model:
    """270,000 weights that do one multiplication each per sample: the worst case."""
    layers = [keras.layers.Dense(256, activation="relu") for _ in range(3)]
    return keras.Sequential(
        [keras.Input((16, 16, 16)), keras.layers.GlobalMaxPooling2D(), *layers, keras.layers.Dense(256)]
    )


def seconds_per_step(model: keras.Model, x: np.ndarray, y: np.ndarray, callbacks: list[Any]) -> float:
    """Train one epoch, with new traces as Pruning makes them, and time the steps."""
    timer = StepTimer()
    model.make_train_function(force=True)
    model.fit(
        x, y, batch_size=len(x) // (WARM_UP + STEPS), verbose=0, shuffle=False, callbacks=[*callbacks, timer]
    )
    return timer.seconds


def step_row(name: str, build: Any, batch: int) -> str:
    """Time one net with and without pruning."""
    x = np.random.default_rng(0).normal(size=(batch * (WARM_UP + STEPS), 16, 16, 16)).astype("float32")
    y = np.zeros(len(x), "int32")
    model = build()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    plain, pruned = [], []
    for _ in range(ROUNDS):
        plain.append(seconds_per_step(model, x, y, []))
        begin = int(model.optimizer.iterations.numpy())
        schedule = PolynomialDecay(0.8, begin_step=begin, end_step=begin + STEPS)
        pruned.append(seconds_per_step(model, x, y, [Pruning(schedule)]))
    ratio = min(pruned) / min(plain)
    return f"{name:<18}{1000 * min(plain):10.2f}{1000 * min(pruned):10.2f}{ratio:9.3f}"


def update_row(size: int) -> str:
    """Time one mask update, and the sort that it does without."""
    weight = keras.random.normal((size // 1000, 1000), seed=0)
    zeros = keras.ops.convert_to_tensor(round(0.8 * size), "int32")
    times = []
    for function, arguments in ((_mask, (weight, zeros)), (_sorted, (weight,))):
        for _ in range(2):  # the first call compiles
            start = time.process_time()
            keras.ops.convert_to_numpy(compiled(function)(*arguments))
            seconds = time.process_time() - start
        times.append(1000 * seconds)
    return f"{size:<18,}{times[0]:10.1f}{times[1]:10.1f}"


def _mask(weight: Any, zeros: Any) -> Any:
    return unstructured_mask(magnitude(weight), zeros)


def _sorted(weight: Any) -> Any:
    return keras.ops.sort(keras.ops.reshape(weight, (-1,)))


def main() -> None:
    """Print both tables."""
    print(f"CPU ms a step, best of {ROUNDS} times {STEPS} steps")
    print(f"{'net':<18}{'plain':>10}{'Pruning':>10}{'ratio':>9}")
    for name, build, batch in (("conv, batch 64", conv_net, 64), ("dense, batch 16", dense_net, 16)):
        print(step_row(name, build, batch), flush=True)
    print("\nCPU ms of one mask update")
    print(f"{'weights':<18}{'mask':>10}{'(a sort)':>10}")
    for size in (1_000_000, 10_000_000):
        print(update_row(size), flush=True)


if __name__ == "__main__":
    main()
