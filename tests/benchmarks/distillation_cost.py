"""What distilling costs: CPU time of a training step, as ratios to training the student alone.

Goals: at most 1.05 with cached outputs of the teacher, and at most student plus one forward pass of the teacher online.

    python -m tests.benchmarks.distillation_cost

All contenders take turns in one process, so that a noisy machine is noisy to all of them alike; each figure is the
median over rounds of the process's CPU time.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import statistics
import tempfile
import time
from collections.abc import Callable

import keras
import numpy as np

from tfopt._report import Table
from tfopt.distillation import Distiller, SoftTargets, cache_teacher

BATCH, STEPS, ROUNDS = 32, 20, 7
CLASSES, TEMPERATURE = 10, 4.0


def network(width: int) -> keras.Model:
    """Three convolutions with batch norm, ending in logits, which both distillers take."""
    layers = [keras.Input((32, 32, 3))]
    for depth in (1, 2, 4):
        layers += [
            keras.layers.Conv2D(width * depth, 3, strides=2, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(CLASSES)])


def contenders(x: np.ndarray, folder: str) -> dict[str, Callable]:
    """One function each that trains on, or for the teacher only predicts, the same batches."""
    student, teacher = network(16), network(48)
    cache = cache_teacher(teacher, x, folder, verbose=0)
    attached = cache.attach(x)
    cached, cached_set = (
        Distiller(network(16), cache, [SoftTargets(TEMPERATURE, from_logits=True)]) for _ in range(2)
    )
    ours = Distiller(network(16), teacher, [SoftTargets(TEMPERATURE, from_logits=True)])
    keras_own = keras.distillation.Distiller(
        teacher=teacher,
        student=network(16),
        distillation_losses=keras.distillation.LogitsDistillation(temperature=TEMPERATURE),
    )
    for model in (student, cached, cached_set, ours, keras_own):
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    # Keras' Distiller freezes the teacher it is given; that does not change what a forward pass costs.
    teacher.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    options = {"batch_size": BATCH, "verbose": 0}
    return {
        "student alone": lambda x, y: student.fit(x, y, **options),
        "tfopt.Distiller, cached arrays": lambda x, y: cached.fit(attached, y, **options),
        "student alone, PyDataset": lambda x, y: student.fit(Batches(x, y), verbose=0),
        "tfopt.Distiller, cached PyDataset": lambda x, y: cached_set.fit(
            cache.attach(Batches(x, y)), verbose=0
        ),
        "teacher, forward only": lambda x, y: teacher.evaluate(x, y, **options),
        "tfopt.Distiller": lambda x, y: ours.fit(x, y, **options),
        "keras.distillation.Distiller": lambda x, y: keras_own.fit(x, y, **options),
    }


class Batches(keras.utils.PyDataset):
    """The same batches one by one: the cache looks each of them up while training."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        super().__init__()
        self.x, self.y = x, y

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(BATCH * index, BATCH * (index + 1))
        return self.x[part], self.y[part]


def measure() -> dict[str, float]:
    """Median CPU seconds a step of each contender."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * STEPS, 32, 32, 3)).astype("float32")
    y = rng.integers(0, CLASSES, BATCH * STEPS)
    with tempfile.TemporaryDirectory() as folder:
        runs = contenders(x, folder)
        times: dict[str, list[float]] = {name: [] for name in runs}
        for round_ in range(ROUNDS + 1):
            for name, run in runs.items():
                start = time.process_time()
                run(x, y)
                if round_:  # the first round traces the functions
                    times[name].append((time.process_time() - start) / STEPS)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Measures and prints the table."""
    seconds = measure()
    alone = seconds["student alone"]
    rows = tuple((name, f"{1000 * s:.1f}", f"{s / alone:.2f}") for name, s in seconds.items())
    floor = (alone + seconds["teacher, forward only"]) / alone
    note = f"Student alone plus one teacher forward pass: {floor:.2f}."
    print(Table("Distillation: CPU time a step", ("", "ms", "ratio"), rows, (note,)))


if __name__ == "__main__":
    main()
