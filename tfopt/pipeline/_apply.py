"""One technique of the table alone, without training: what the commands of that name do."""

import dataclasses
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from tfopt import data as readers
from tfopt._export_from import export
from tfopt._files import check_parent, naming, write_whole
from tfopt._report import TERMINAL_WIDTH, Report
from tfopt.pipeline._attempt import measure
from tfopt.pipeline._run import cut, prepare
from tfopt.pipeline._techniques import TECHNIQUES, Applied
from tfopt.recipes import Recipe
from tfopt.runtimes import verify

# Samples that the file is verified on: more prove little more.
_VERIFIED = 500


@dataclasses.dataclass(frozen=True)
class ApplyResult(Report):
    """What a technique made of a model.

    Attributes:
        words: what was done, in a line.
        notes: what was decided about the data, in sentences.
        reports: of the technique, of `export` and `verify` where a .tflite file was written, and of `compare`.
    """

    words: str
    notes: tuple[str, ...]
    reports: dict[str, Report]

    @property
    def passed(self) -> bool:
        """Whether the file, if one was written, computes what the model computes."""
        proof = self.reports.get("verify")
        return proof is None or bool(proof.passed)  # type: ignore[attr-defined]

    def __str__(self) -> str:
        shown = [str(report) for name, report in self.reports.items() if name != "export"]
        return "\n\n".join([*shown, *(textwrap.fill(note, TERMINAL_WIDTH) for note in self.notes)])

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON types."""
        reports = {name: report.to_dict() for name, report in self.reports.items()}
        return {"passed": self.passed, "words": self.words, "notes": list(self.notes), "reports": reports}


def apply_technique(
    name: str,
    model: keras.Model,
    data: Any,
    recipe: Recipe,
    path: Path,
    say: Callable[[str], None] = lambda text: None,
) -> ApplyResult:
    """Applies one technique to a model, writes what it makes, and compares both.

    Args:
        name: a row of `TECHNIQUES` that needs no training: `"quantize"` or `"shrink"`.
        model: the model; it is not changed.
        data: what to calibrate and measure with, in any form that `tfopt.data.read` has.
        recipe: has the section of the technique, the target, how data is read, and the steps that an output may be off.
        path: a `.keras` or `.tflite` file to write; a .tflite file is verified against the model.
        say: is called with what is going on, in some words.

    Raises:
        ValueError: the path is neither, its folder does not exist, or the data does not fit the model.
    """
    is_file = path.suffix.lower() == ".tflite"
    if not is_file and path.suffix != ".keras":
        raise ValueError(
            "The output must be a .tflite file, or a .keras file: in small letters, as Keras reads no other. Got "
            f"{str(path)!r} instead."
        )
    check_parent(path, "OUTPUT")
    (row,) = [row for row in TECHNIQUES if row.name == name]
    say("Reading the data")
    names = {"inputs": recipe.data.inputs, "labels": recipe.data.labels}
    run = prepare(model, readers.read(data, model, **names), None, recipe, say)
    say(row.saying)
    applied = row.apply(model, run, getattr(recipe, name), 0)
    if not isinstance(applied, Applied):
        raise ValueError(applied)
    reports: dict[str, Report] = {}
    if (report := applied.report()) is not None:
        reports[name] = report
    result: Any = applied.thing
    if is_file:
        say("Exporting and verifying")
        reports["export"] = export(applied.thing, path)
        samples = cut(run.validation[0], slice(0, _VERIFIED))
        reports["verify"] = verify(applied.thing, path, samples, tolerance=recipe.export.tolerance)
        result = path
    else:
        with tempfile.TemporaryDirectory() as folder:
            with naming(Path(folder) / "model.keras"):
                applied.thing.save(Path(folder) / "model.keras")
            write_whole(path, (Path(folder) / "model.keras").read_bytes())
    say("Comparing")
    reports["compare"] = measure(run, {path.name: result})
    return ApplyResult(applied.words(), run.notes, reports)
