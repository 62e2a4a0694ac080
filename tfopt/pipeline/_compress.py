"""`tfopt.compress`: from a model and data to a verified file."""

import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from tfopt import data as readers
from tfopt._files import naming, write_whole
from tfopt._keras_model import check_keras_model
from tfopt.compression import check_decoder
from tfopt.data import Samples
from tfopt.graph import check_finite, flatten_layers
from tfopt.kernels import IntegerActivations
from tfopt.page import Content, html_page
from tfopt.pipeline._attempt import Attempt, attempt
from tfopt.pipeline._baselines import write_baselines
from tfopt.pipeline._budget import file_figures, meet_budget
from tfopt.pipeline._checkpoints import claim
from tfopt.pipeline._output_folder import check_output_folder, output_folder
from tfopt.pipeline._result import CompressResult
from tfopt.pipeline._run import Run, cut, prepare
from tfopt.pipeline._techniques import TECHNIQUES, Stage, runtime_of
from tfopt.recipes import Recipe, load_recipe, recipe_text
from tfopt.runtimes import VerifyReport, inspect, verify

# Epochs where the recipe leaves them open and something has to be trained.
EPOCHS = 5
# `verify` looks inside where outputs differ, which takes time; more samples prove little more.
_VERIFIED = 500
# Samples on which the tensors inside are compared where the outputs are equal.
_INSIDE = 32
_OF_INT16 = (
    "With activations of 16 bits, functions that LiteRT looks up in tables (softmax, tanh ...) are some of the 65,536 "
    "steps off: 'export.tolerance' says how many pass."
)
# What an unfinished run keeps to go on from.
_STATE = "state"


def compress(
    model: keras.Model,
    data: Any,
    recipe: Recipe | str | os.PathLike | None = None,
    *,
    output_dir: str | os.PathLike | None = None,
    validation: Any = None,
    overwrite: bool = False,
    resume: bool = False,
    say: Callable[[str], None] = lambda text: None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> CompressResult:
    """Makes a model small and fast by a recipe, writes the .tflite file, verifies and compares it.

    Techniques act in the order of `tfopt.pipeline.TECHNIQUES`: the float model is rewritten (shrunk), quantized, and
    trained in one `fit` in which weights are pruned and the original model teaches. Without a recipe it is quantized to
    int8 without training. Where the recipe has `max_drop`, and nothing else needs training, it is first quantized
    without training, and trained only if that loses more.

    The loss and the metric are those that the model was compiled with; else they are chosen by its outputs and the
    labels. The result says which.

    Args:
        model: a built Keras model. It is not changed.
        data: what to calibrate, train and measure with: arrays, `(x, y)` or a data set; or text: a file, a folder or a
            name, see `tfopt.data.read`. A fifth of it, or what the source itself holds out, is kept to measure with.
        recipe: a `tfopt.recipes.Recipe`, the name of a shipped one, or the path of a YAML file.
        output_dir: a folder for `model.keras`, `model.tflite`, `recipe.yaml`, `report.html`, `report.json` and
            `report.md`, written whole or not at all; None to write nothing. With it the result is also measured beside
            what the original is without the techniques: a float file and an int8 one.
        validation: data to measure with, in any form that `data` has.
        overwrite: whether older results in the folder may be replaced.
        resume: whether to go on with the training of a run that was killed, or interrupted; it ends as if it had not
            been.
        say: is called with what is going on, in some words.
        callbacks: of the training, beside those of the techniques: `keras.callbacks.TensorBoard("logs")`, or MLflow's.

    Returns:
        A `CompressResult`: the model, the reports, and whether all holds (`passed`).

    Raises:
        ValueError: the recipe, the data or the folder is not one of the above, they do not fit together, or a technique
            cannot do what it is asked.
        TypeError: `model` is not a Keras model, or `recipe` no recipe.
        ImportError: the target's runtime is not installed.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    >>> x = np.random.default_rng(0).normal(size=(100, 4)).astype("float32")
    >>> result = tfopt.compress(model, (x, model.predict(x, verbose=0).argmax(axis=1)))
    >>> result.passed, result.epochs, result.reports["export"].inputs, result.notes[-1]
    (True, 0, ('int8',), 'Loss: sparse_categorical_crossentropy, chosen by the outputs and the labels.')
    """
    check_keras_model(model)
    recipe = load_recipe(recipe) if isinstance(recipe, (str, os.PathLike)) else recipe or Recipe()
    if not isinstance(recipe, Recipe):
        raise TypeError(
            f"The 'recipe' argument must be a tfopt.Recipe, a YAML file or the name of a shipped recipe. Got "
            f"{type(recipe).__name__} instead."
        )
    check_finite(model)
    _check(recipe, resume)
    if output_dir is not None:
        check_output_folder(Path(output_dir), overwrite)
    say("Reading the data")
    names = {"inputs": recipe.data.inputs, "labels": recipe.data.labels}
    samples = readers.read(data, model, **names)
    held_out: Samples | None = None if validation is None else readers.read(validation, model, **names)
    run = dataclasses.replace(prepare(model, samples, held_out, recipe, say), callbacks=tuple(callbacks))
    if recipe.max_drop is not None and run.task.metric is None:
        raise ValueError(
            "The 'max_drop' key takes a metric: labels, or a model with one output of scores of classes. Got neither. "
            "Give labels with the data, or leave it out."
        )
    if output_dir is None:
        with tempfile.TemporaryDirectory() as folder:
            return _attempts(meet_budget(run, None), Path(folder), None)
    with output_folder(Path(output_dir), resume) as work:
        told = recipe_text(dataclasses.replace(recipe, versions={}))
        claim(work / _STATE, told, model, (run.train, run.validation))
        result = _attempts(meet_budget(run, work / _STATE), work, work / _STATE)
        path = str(Path(output_dir) / "model.tflite")
        result = dataclasses.replace(result, path=path, reports=_moved(result.reports, path))
        _write(result, work)
    return result


def _check(recipe: Recipe, resume: bool) -> None:
    """Raises for what would fail after hours of training only."""
    if runtime_of(recipe.target) == "tflm" and importlib.util.find_spec("tflite_micro") is None:
        raise ImportError(
            f"The target {recipe.target!r} takes TFLite Micro. Install it with: pip install 'tfopt[mcu]'"
        )
    if recipe.export.compress:
        check_decoder(recipe.target)
    lost = [row.name for row in TECHNIQUES if not row.resumes and getattr(recipe, row.name) is not None]
    if resume and lost:
        raise ValueError(
            f"A run with the section {lost[0]!r} cannot be resumed: what it keeps is not in a checkpoint. Start it "
            "anew, without resume."
        )
    idle = [
        row.name for row in TECHNIQUES if row.stage is Stage.IN_FIT and getattr(recipe, row.name) is not None
    ]
    if idle and recipe.train.epochs == 0:
        raise ValueError(f"To {' and '.join(idle)} takes training. Got 0 epochs. Set the epochs to 5, say.")
    if recipe.quantize is not None and recipe.export.format is not None:
        raise ValueError(
            f"The 'export.format' key is for files that are not quantized. Got {recipe.export.format!r}. Leave it out, "
            "or set 'quantize' to null."
        )


def _epochs(recipe: Recipe) -> list[int]:
    """The epochs of each attempt: the next is made if the one before loses too much.

    >>> from tfopt.recipes import Prune
    >>> [_epochs(one) for one in (Recipe(), Recipe(max_drop=0.5), Recipe(prune=Prune(sparsity=0.5)))]
    [[0], [0, 5], [5]]
    """
    asked = recipe.train.epochs
    if any(row.trains and getattr(recipe, row.name) is not None for row in TECHNIQUES):
        return [EPOCHS if asked is None else asked]
    if recipe.max_drop is None or recipe.quantize is None:
        return [asked or 0]
    return [0] if asked == 0 else [0, asked or EPOCHS]


def _attempts(run: Run, work: Path, state: Path | None) -> CompressResult:
    """Attempts until one loses no more than is allowed, and the proof of that one."""
    baselines, missing = write_baselines(run, state / "baselines") if state else ({}, [])
    notes = [*run.notes, *_other_versions(run.recipe), *missing]
    epochs = _epochs(run.recipe)
    for number in epochs:
        made = attempt(run, number, work / "model.tflite", state, baselines)
        before, after = (made.compare.rows[at].metric for at in (0, -1))
        drop = None if before is None or after is None else run.task.drop(before, after)
        allowed = run.recipe.max_drop
        if allowed is None or drop is None or drop <= allowed:
            break
        if number != epochs[-1]:
            unit = "points" if run.task.in_points else "%"
            notes.append(
                f"Without training {drop:.2f} {unit} were lost, more than {allowed:g}: so it trained."
            )
    return _result(run, made, work, (before, after, drop), notes)


def _result(run: Run, made: Attempt, work: Path, figures: tuple[Any, Any, Any], notes: list[str]) -> Any:
    run.say("Verifying")
    x = cut(run.validation[0], slice(0, _VERIFIED))
    path = work / "model.tflite"
    verified = verify(made.model, path, x, tolerance=run.recipe.export.tolerance)
    verified = _with_tensors(verified, made.model, path, cut(x, slice(0, _INSIDE)))
    if not verified.passed and any(output.dtype == "int16" for output in verified.outputs):
        notes = [*notes, _OF_INT16]
    before, after, drop = figures
    allowed = run.recipe.max_drop
    most = run.recipe.quantize and run.recipe.quantize.max_bytes
    fits = most is None or made.export.size.raw <= most  # type: ignore[attr-defined]
    if run.recipe.budget:
        taken, within = file_figures(run, path)
        fits = fits and within
        told = ", ".join(f"{number:,.6g} {name}" for name, number in taken.items())
        notes = [*notes, f"The file takes {told}{'' if within else ': NOT within the budget'}."]
    holds = fits and (allowed is None or (drop is not None and drop <= allowed))
    return CompressResult(
        model=made.model,
        recipe=dataclasses.replace(run.recipe, versions=_versions()),
        path=None,
        passed=verified.passed and holds,
        epochs=made.epochs,
        metric=run.task.metric_name,
        before=before,
        after=after,
        drop=drop,
        done=made.done,
        notes=tuple(notes),
        reports={
            **made.reports,
            "export": made.export,
            "inspect": inspect(path),
            "verify": verified,
            "compare": made.compare,
        },
        history=made.history,
    )


def _with_tensors(verified: VerifyReport, model: keras.Model, path: Path, x: Any) -> VerifyReport:
    """The report with the tensors inside, on some samples, where outputs that are equal gave no cause to look."""
    rounds = any(isinstance(layer, IntegerActivations) for layer in flatten_layers(model))
    if verified.tensors or verified.failure or not rounds:
        return verified
    inside = verify(model, path, x, tolerance=verified.tolerance, per_tensor=True)
    return dataclasses.replace(
        verified, tensors=inside.tensors, first_drift=inside.first_drift, unmatched=inside.unmatched
    )


def _moved(reports: dict[str, Any], path: str) -> dict[str, Any]:
    """The reports with the name that their file takes in the end."""
    return {
        name: dataclasses.replace(report, path=path) if hasattr(report, "path") else report
        for name, report in reports.items()
    }


def _versions() -> dict[str, str]:
    names = ("tfopt", "keras", "tensorflow", "numpy", "ai-edge-litert")
    found = {name: _version(name) for name in names}
    return {name: version for name, version in found.items() if version}


def _other_versions(recipe: Recipe) -> list[str]:
    """A sentence about versions that are not those that the recipe was used with."""
    now = _versions()
    others = [f"{name} {old}, now {now.get(name, 'none')}" for name, old in recipe.versions.items()]
    changed = [
        text
        for text, (name, old) in zip(others, recipe.versions.items(), strict=True)
        if now.get(name) != old
    ]
    return [f"The recipe was used before with {'; '.join(changed)}."] if changed else []


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # run from a folder, or a nightly build by another name
        return ""


def _write(result: CompressResult, work: Path) -> None:
    """The files beside `model.tflite`; nothing else is left."""
    shutil.rmtree(work / _STATE)
    with naming(work / "model.keras"):
        result.model.save(work / "model.keras")
    content, recipe = result.to_dict(), recipe_text(result.recipe)
    for name, text in {
        "recipe.yaml": recipe,
        "report.md": result.to_markdown(),
        "report.json": json.dumps(content, indent=2),
        "report.html": html_page(Content.of_result(content, recipe)),
    }.items():
        write_whole(work / name, text.encode())
