"""One attempt: the techniques applied, the model trained, the file written and measured."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from tfopt._export_from import export
from tfopt._report import Report
from tfopt.pipeline._run import Run
from tfopt.pipeline._techniques import Applied, Stage, of_stage, runtime_of
from tfopt.pipeline._training import train
from tfopt.runtimes import ClassReport, CompareReport, compare


@dataclasses.dataclass
class Attempt:
    """What an attempt came to.

    Attributes:
        epochs: of training.
        model: the compressed model.
        export: what was written.
        compare: the original, the baselines and the file, side by side.
        done: what each technique did, in a line.
        reports: of techniques that tell of layers.
        history: what each epoch logged.
    """

    epochs: int
    model: keras.Model
    export: Report
    compare: CompareReport
    done: dict[str, str]
    reports: dict[str, Report]
    history: dict[str, list[float]]


def attempt(run: Run, epochs: int, path: Path, state: Path | None, baselines: Mapping[str, Path]) -> Attempt:
    """Applies the recipe with so many epochs of training, and writes the file.

    Args:
        run: what to work on.
        epochs: of the training; 0 for none.
        path: the file to write.
        state: a folder for the state of the training, or None.
        baselines: files to measure beside it.
    """
    keras.utils.set_random_seed(run.recipe.seed)
    applied: dict[str, Applied | str] = {}

    def through(stage: Stage, thing: Any) -> Any:
        for row, section in of_stage(stage, run):
            if row.saying:
                run.say(row.saying)
            applied[row.name] = made = row.apply(thing, run, section, epochs)
            thing = made.thing if isinstance(made, Applied) else thing
        return thing

    model = through(Stage.QUANTIZES, through(Stage.REWRITES, run.original))
    history: dict[str, list[float]] = {}
    if epochs:
        model = _copy(model) if model is run.original else model
        teaching = through(Stage.TEACHES, model)
        if run.task.loss is None and teaching is model:
            raise ValueError(
                "Training takes labels, or a model whose outputs are scores of classes, from which it can be "
                "distilled. Got neither. Give labels with the data, or set the epochs to 0."
            )
        history = train(teaching, run, epochs, through(Stage.IN_FIT, []), state)
    else:
        idle = (*of_stage(Stage.TEACHES, run), *of_stage(Stage.IN_FIT, run))
        applied.update({row.name: "left out: nothing was trained" for row, _ in idle})
    run.say("Exporting")
    exported = export(model, path, **_export_arguments(run, through))
    measured = measure(run, {**baselines, "compressed": path})
    done = {name: made if isinstance(made, str) else made.words() for name, made in applied.items()}
    reports = {
        name: report
        for name, made in applied.items()
        if isinstance(made, Applied) and (report := made.report()) is not None
    }
    for made in applied.values():
        reports.update(made.found if isinstance(made, Applied) else {})
    return Attempt(epochs, model, exported, measured, done, reports, history)


def _export_arguments(run: Run, through: Any) -> dict[str, Any]:
    """The arguments of `export`: the recipe's own, and those of techniques."""
    settings = dataclasses.asdict(run.recipe.export)
    settings["batch_size"] = settings["batch_size"] or None
    settings.pop("tolerance")  # of `verify`
    return through(Stage.EXPORTS, settings)


def measure(run: Run, results: Mapping[str, Any]) -> CompareReport:
    """The original and what was made of it, models or files, side by side on the samples that were held out."""
    x, y = run.validation
    models = {"original": run.original, **results}
    runtime = runtime_of(run.recipe.target)
    if run.task.metric is None:
        return compare(models, x, runtime=runtime)
    report = compare(models, x, y, metric=run.task.metric, runtime=runtime)
    return (
        report
        if report.classes is None
        else dataclasses.replace(report, classes=_in_data(report.classes, run))
    )


def _in_data(report: ClassReport, run: Run) -> ClassReport:
    """With the names of the classes, and samples by their number in the data."""
    rows = run.held_out
    changed = report.changed
    if rows is not None:
        changed = tuple(dataclasses.replace(one, index=int(rows[one.index])) for one in changed)
    return dataclasses.replace(report, names=run.classes, changed=changed)


def _copy(model: keras.Model) -> keras.Model:
    """A model of the same layers and weights: what is trained in place must not be the user's."""
    try:
        copy = keras.models.clone_model(model)
    except ValueError as error:
        raise ValueError(
            f"The model {model.name!r} must be Sequential or Functional to be trained without being quantized, as it "
            f"is copied first. Got {type(model).__name__}. Quantize it, or write it as a Functional model."
        ) from error
    copy.set_weights(model.get_weights())
    return copy
