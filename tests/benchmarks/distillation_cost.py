"""What distilling costs: CPU time of a training step, as ratios to training the student alone.

Goals: at most 1.05 with cached outputs of the teacher, for every form of data; online, no more than the student and one
forward pass of the teacher.

    python -m tests.benchmarks.distillation_cost

A ResNet8 of MLPerf Tiny learns from another one, batch 64, on random images. All contenders take turns in one process,
so that a noisy machine is noisy to all of them alike: each figure is the median over rounds of the process's CPU time,
each ratio the median over rounds of the ratio within a round.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# One thread computes: the others' waiting for work would count as CPU time.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import dataclasses
import tempfile
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.benchmarks.peers.networks import resnet8
from tfopt._report import Table
from tfopt.distillation import Distiller, SoftTargets, TeacherCache, cache_teacher

BATCH, STEPS, ROUNDS = 64, 12, 7
TEMPERATURE = 4.0
FORMS = ("arrays", "PyDataset", "tf.data")
FORWARD = "teacher, forward pass alone"


@dataclasses.dataclass(frozen=True)
class Contender:
    """What is timed, the student alone on the same data, and whether a teacher runs too."""

    run: Callable[[], Any]
    alone: str
    with_teacher: bool = False


def network() -> keras.Model:
    """ResNet8 that ends in logits, which both distillers take as they are."""
    body = resnet8(keras)
    return keras.Model(body.inputs, keras.layers.Dense(10)(body.layers[-2].output))


class Batches(keras.utils.PyDataset):
    """Batches one by one: the cache looks each of them up while training."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        super().__init__()
        self.x, self.y = x, y

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(BATCH * index, BATCH * (index + 1))
        return self.x[part], self.y[part]


def data_as(form: str, x: np.ndarray, y: np.ndarray, cache: TeacherCache | None = None) -> dict[str, Any]:
    """Arguments of `fit` for the same data in one of its forms, with the teacher's outputs if there is a cache."""
    if form == "arrays":
        return {"x": cache.attach(x) if cache else x, "y": y, "batch_size": BATCH}
    data = Batches(x, y) if form == "PyDataset" else tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)
    return {"x": cache.attach(data) if cache else data}


def trains(model: keras.Model, data: dict[str, Any]) -> Callable[[], Any]:
    """A function that trains the model for an epoch."""
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return lambda: model.fit(**data, shuffle=False, verbose=0)


def contenders(x: np.ndarray, y: np.ndarray, folder: str) -> dict[str, Contender]:
    """All that is timed, on the same batches."""
    teacher = network()
    cache = cache_teacher(teacher, x, folder, verbose=0)
    losses = [SoftTargets(TEMPERATURE, from_logits=True)]
    found: dict[str, Contender] = {}
    for form in FORMS:
        alone = f"{form}: student alone"
        found[alone] = Contender(trains(network(), data_as(form, x, y)), alone)
        cached = trains(Distiller(network(), cache, losses), data_as(form, x, y, cache))
        found[f"{form}: tfopt, cached"] = Contender(cached, alone)

    @tf.function
    def forward(batch: tf.Tensor) -> tf.Tensor:
        """The teacher's logits and nothing else: no loss, no metric, no reading of the data."""
        return teacher(batch, training=False)

    batches = [tf.constant(x[BATCH * i : BATCH * (i + 1)]) for i in range(STEPS)]
    alone = "arrays: student alone"
    found[FORWARD] = Contender(lambda: [forward(batch) for batch in batches], alone)
    theirs = keras.distillation.Distiller(
        teacher=keras.models.clone_model(teacher),  # a copy, since it freezes the teacher that it is given
        student=network(),
        distillation_losses=keras.distillation.LogitsDistillation(temperature=TEMPERATURE),
    )
    for name, model in (("tfopt", Distiller(network(), teacher, losses)), ("keras.distillation", theirs)):
        found[f"arrays: {name}, online"] = Contender(trains(model, data_as("arrays", x, y)), alone, True)
    return found


def measure() -> tuple[dict[str, Contender], dict[str, np.ndarray]]:
    """What was timed, and the CPU seconds a step of each in every round."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * STEPS, 32, 32, 3)).astype("float32")
    y = rng.integers(0, 10, BATCH * STEPS)
    with tempfile.TemporaryDirectory() as folder:
        found = contenders(x, y, folder)
        times: dict[str, list[float]] = {name: [] for name in found}
        for round_ in range(ROUNDS + 1):
            for name in reversed(found) if round_ % 2 else found:
                start = time.process_time()
                found[name].run()
                times[name].append((time.process_time() - start) / STEPS)
    # The first round traces the functions.
    return found, {name: np.array(seconds[1:]) for name, seconds in times.items()}


def row(name: str, contender: Contender, times: dict[str, np.ndarray]) -> tuple[str, ...]:
    """One line of the table."""
    own, alone = times[name], times[contender.alone]
    over_both = f"{np.median(own / (alone + times[FORWARD])):.2f}" if contender.with_teacher else ""
    return name, f"{1000 * np.median(own):.1f}", f"{np.median(own / alone):.2f}", over_both


def main() -> None:
    """Measures and prints the table."""
    found, times = measure()
    rows = tuple(row(name, one, times) for name, one in found.items())
    columns = ("", "ms", "/ student", "/ (student + teacher)")
    notes = (
        "Goals: cached at most 1.05 of the student,",
        "online at most 1.00 of student + teacher's forward pass.",
    )
    print(Table("Distillation: CPU time a step, ResNet8, batch 64", columns, rows, notes))


if __name__ == "__main__":
    main()
