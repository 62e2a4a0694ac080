"""What a teacher adds to the accuracy of small networks on CIFAR-10: mean and spread over seeds.

    TFOPT_TEST_DATA=folder python -m tests.benchmarks.distillation_accuracy --what=small --epochs=8

Each experiment trains the same student twice with the same seed, epochs and learning rate: without the teacher and
with it. The teacher is MLPerf Tiny's ResNet8, fine-tuned (`cifar10.float_model`); what it says about the augmented
images of all epochs is cached once.

    one_fit   its int8 copy, of which one fit prunes 80 % while it trains the quantized weights
    small     a student of half its width, so of a quarter of its parameters, begun from its surviving channels
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import statistics
from typing import Any

import keras
import numpy as np
from absl import app, flags

import tfopt
from tests.benchmarks import cifar10
from tfopt._report import Table
from tfopt.distillation import TeacherCache

_WHAT = flags.DEFINE_enum("what", "small", ["one_fit", "small"], "The student.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "Runs of each contender.", lower_bound=1)
_EPOCHS = flags.DEFINE_integer("epochs", 8, "Epochs of each run.", lower_bound=1)
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-3, "The first one; it falls to 0 along a cosine.")


def one_fit(teacher: keras.Model, x: np.ndarray, steps: int) -> tuple[keras.Model, list[Any]]:
    """The teacher's int8 copy, and what prunes it."""
    schedule = tfopt.PolynomialDecay(
        final_sparsity=0.8, end_step=max(2, steps // 2), frequency=max(1, steps // 50)
    )
    pruning = tfopt.Pruning(schedule, scope="global")
    return tfopt.quantize(cifar10.copy_of(teacher), calibration=x[:512]), [pruning]


def small(teacher: keras.Model, x: np.ndarray, steps: int) -> tuple[keras.Model, list[Any]]:
    """A ResNet8 of half the width."""
    return tfopt.make_student(teacher, width=0.5, depth=1.0), []


STUDENTS = {"one_fit": one_fit, "small": small}


def accuracies(
    teacher: keras.Model, cache: TeacherCache | None, data: cifar10.Data, test: cifar10.Data
) -> list:
    """Test accuracy of a run for each seed, in percent."""
    results = []
    for seed in range(_SEEDS.value):
        keras.utils.set_random_seed(seed)
        batches = cifar10.Augmented(*data, seed, period=_EPOCHS.value)
        steps = _EPOCHS.value * len(batches)
        student, callbacks = STUDENTS[_WHAT.value](teacher, data[0], steps)
        cifar10.train_with(cache, student, batches, _EPOCHS.value, _LEARNING_RATE.value, callbacks)
        results.append(cifar10.accuracy(student, test))
        name = "alone" if cache is None else "distilled"
        print(f"{_WHAT.value}, {name}, seed {seed}: {results[-1]:.2f} %", flush=True)
    return results


def main(_: list[str]) -> None:
    """Train every contender and print the table."""
    minutes = cifar10.Minutes()
    data, test = cifar10.load_data()
    teacher = cifar10.float_model(*data)
    cache = cifar10.cached(teacher, *data, _EPOCHS.value)
    student, _callbacks = STUDENTS[_WHAT.value](teacher, data[0], 100)
    sizes = [sum(np.prod(w.shape) for w in model.trainable_weights) for model in (teacher, student)]
    runs = {
        "alone": accuracies(teacher, None, data, test),
        "distilled": accuracies(teacher, cache, data, test),
    }
    gains = [taught - alone for alone, taught in zip(*runs.values(), strict=True)]
    rows = [("teacher", f"{cifar10.accuracy(teacher, test):.2f}", "", f"{sizes[0]:,}")]
    rows += [(name, *summary(values), f"{sizes[1]:,}") for name, values in runs.items()]
    rows.append(("gain", *summary(gains), ""))
    notes = (
        f"{_SEEDS.value} seeds, {_EPOCHS.value} epochs, {len(data[0])} images; {minutes} CPU minutes.",
        "Spread: largest minus smallest.",
    )
    columns = ("", "accuracy %", "spread", "parameters")
    print(Table(f"{_WHAT.value}: what the teacher adds on CIFAR-10", columns, tuple(rows), notes))


def summary(values: list[float]) -> tuple[str, str]:
    """Mean, and largest minus smallest."""
    return f"{statistics.mean(values):.2f}", f"{max(values) - min(values):.2f}"


if __name__ == "__main__":
    app.run(main)
