"""What a run of `compress` works on: the recipe, the original model, the samples."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfopt._samples import count
from tfopt._task import Task, labels_for, task_of
from tfopt.data import Samples, choose_image_range, to_range
from tfopt.recipes import Recipe


@dataclasses.dataclass(frozen=True)
class Run:
    """Everything that techniques may read.

    Attributes:
        recipe: what to do.
        original: the model as it was given; it is not changed.
        train: inputs and labels to calibrate and train with; labels may be None.
        validation: inputs and labels to measure with.
        task: what to train and measure by.
        notes: what was decided about the data, in sentences.
        say: tells the user what is going on.
        classes: the names of the classes in their order; empty where they have none.
        held_out: the numbers in the data of the samples to measure with; None where these were given apart.
        callbacks: the user's own, of the training.
    """

    recipe: Recipe
    original: keras.Model
    train: tuple[Any, Any]
    validation: tuple[Any, Any]
    task: Task
    notes: tuple[str, ...]
    say: Callable[[str], None]
    classes: tuple[str, ...] = ()
    held_out: np.ndarray | None = None
    callbacks: tuple[keras.callbacks.Callback, ...] = ()

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-count(self.train[0]) // self.recipe.train.batch_size)

    def calibration(self) -> Any:
        """Some inputs of the training part."""
        wanted = self.recipe.quantize.calibration_samples if self.recipe.quantize else 500
        return cut(self.train[0], slice(0, wanted))


def prepare(
    model: keras.Model,
    samples: Samples,
    validation: Samples | None,
    recipe: Recipe,
    say: Callable[[str], None],
) -> Run:
    """The run of a recipe on a model and samples.

    Args:
        model: the original model.
        samples: to calibrate and train with.
        validation: to measure with; None to hold some of the samples out.
        recipe: what to do.
        say: tells the user what is going on.

    Raises:
        ValueError: labels do not fit the model.
    """
    samples, validation, ranged = _in_range(model, samples, validation, recipe)
    train, held_out, rows, split = _split(samples, validation, recipe)
    notes = [*samples.notes, *ranged, split]
    if samples.classes:
        notes.append(f"Classes, in their order: {', '.join(samples.classes)}.")
    x, y = held_out
    if y is None:
        task, y = _without_labels(model, x, recipe)
        notes.append("There are no labels: " + _judged(task))
    else:
        every = y if train[1] is None else np.concatenate([train[1], y])
        task = task_of(model, every, recipe.train.loss, recipe.train.metric)
        train, y = (train[0], labels_for(task, model, train[1])), labels_for(task, model, y)
        if train[1] is None:
            task = dataclasses.replace(task, loss=None, metrics=None)
    return Run(
        recipe, model, train, (x, y), task, (*notes, *task.notes), say, tuple(samples.classes or ()), rows
    )


def _in_range(
    model: keras.Model, samples: Samples, validation: Samples | None, recipe: Recipe
) -> tuple[Samples, Samples | None, list[str]]:
    """Bytes of images in the range that the model wants."""
    if not samples.pixels:
        return samples, validation, []
    if recipe.data.image_range is not None:
        low, high = recipe.data.image_range
        chosen, words = (
            (float(low), float(high)),
            f"Bytes of images became {low:g} to {high:g}, as the recipe says.",
        )
    else:
        chosen, words = choose_image_range(model, samples.x, samples.y)
    held_out = samples.held_out and (to_range(samples.held_out[0], chosen), samples.held_out[1])
    if validation is not None and validation.pixels:
        validation = dataclasses.replace(validation, x=to_range(validation.x, chosen))
    samples = dataclasses.replace(samples, x=to_range(samples.x, chosen), held_out=held_out)
    return samples, validation, [words]


def _split(
    samples: Samples, validation: Samples | None, recipe: Recipe
) -> tuple[tuple[Any, Any], tuple[Any, Any], np.ndarray | None, str]:
    """What to train with and what to measure with, the numbers of these in the data, and a sentence about it."""
    total = len(samples)
    order = np.random.default_rng(recipe.seed).permutation(total)
    given = (validation.x, validation.y) if validation is not None else samples.held_out
    if given is not None:
        whole = f"{total:,} samples to calibrate and train with, {count(given[0]):,} to measure with."
        return _take(samples, order), given, None, whole
    if total < 2:
        words = "One sample: calibrated and measured with it."
        return _take(samples, order), _take(samples, order), order, words
    held = min(max(round(recipe.train.validation_split * total), 1), total - 1)
    words = (
        f"{total - held:,} samples to calibrate and train with, {held:,} held out to measure with; the original "
        "model may have seen these."
    )
    return _take(samples, order[held:]), _take(samples, order[:held]), order[:held], words


def _take(samples: Samples, rows: np.ndarray) -> tuple[Any, Any]:
    return cut(samples.x, rows), None if samples.y is None else samples.y[rows]


def cut(x: Any, rows: Any) -> Any:
    """Some samples of a structure of arrays."""
    return keras.tree.map_structure(lambda array: array[rows], x)


def _without_labels(model: keras.Model, x: Any, recipe: Recipe) -> tuple[Task, Any]:
    """The task of agreeing with the original, and the classes that it gives; no labels where it gives none."""
    task = task_of(model, None, recipe.train.loss, recipe.train.metric)
    if not task.class_scores:
        return dataclasses.replace(task, loss=None, metrics=None), None
    outputs = model.predict(x, verbose=0)
    y = outputs > (0.0 if task.from_logits else 0.5) if outputs.shape[-1] == 1 else outputs.argmax(axis=-1)
    y = y.astype("int32")
    return task_of(model, y, recipe.train.loss, labelled=False), y


def _judged(task: Task) -> str:
    if task.metric is None:
        return "no metric was measured."
    return "agreement counts the samples of which the original model says the same class."
