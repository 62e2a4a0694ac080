"""What `compress` returns."""

import dataclasses
import json
import textwrap
from typing import Any

import keras

from tfopt._report import TERMINAL_WIDTH, Report, Table
from tfopt._task import Task
from tfopt.kernels import TARGETS
from tfopt.recipes import Recipe, recipe_text


@dataclasses.dataclass(frozen=True)
class CompressResult(Report):
    """What `compress` made, and whether it holds; prints as tables.

    Args:
        model: the compressed Keras model; if it is quantized, what `tfopt.quantize` returned, trained.
        recipe: what was done, with the versions of the programs.
        path: the .tflite file; None where no folder was asked for.
        passed: whether the file computes what the model computes, no more was lost than the recipe allows, and it is no
            larger than that says.
        epochs: of the training that was kept; 0 for none.
        metric: name of the metric; "" where there was nothing to measure.
        before: the metric of the original.
        after: the metric of the file.
        drop: points lost of a fraction, percent of an error; below 0 if gained; None without a metric.
        done: what each technique did, in a line.
        notes: what was decided on the way, in sentences.
        reports: the reports of the techniques, of `export`, `verify` and `compare`, by name.
        history: what each epoch of the training logged.

    Example: see `compress`.
    """

    model: keras.Model
    recipe: Recipe
    path: str | None
    passed: bool
    epochs: int
    metric: str
    before: float | None
    after: float | None
    drop: float | None
    done: dict[str, str]
    notes: tuple[str, ...]
    reports: dict[str, Report]
    history: dict[str, list[float]]

    def table(self) -> Table:
        """What it came to, and what was done, a technique a row."""
        rows = (("result", self.verdict), *(tuple(self.done.items()) or (("none", "the file is in float"),)))
        return Table(
            f"{self.model.name} for {TARGETS[self.recipe.target].title.rstrip(',')}",
            ("technique", "outcome"),
            rows,
            self.notes,
        )

    @property
    def max_bytes(self) -> int | None:
        """What the file may take; None for any size."""
        return None if self.recipe.quantize is None else self.recipe.quantize.max_bytes

    @property
    def verdict(self) -> str:
        """In some words, whether the result holds."""
        if not self.reports["verify"].passed:  # type: ignore[attr-defined]
            return "FAILED, the file computes something else"
        size, most = self.reports["export"].size.raw, self.max_bytes  # type: ignore[attr-defined]
        if most is not None and size > most:
            return f"does NOT HOLD, {size:,} bytes, {most:,} allowed"
        allowed = self.recipe.max_drop
        if allowed is not None and (self.drop is None or self.drop > allowed):
            return f"does NOT HOLD, {self._change()}, {allowed:g} allowed"
        return f"verified, {self._change()}"

    def _change(self) -> str:
        if self.drop is None:
            return "nothing measured"
        in_points = Task(metric_name=self.metric).in_points
        change = (-self.drop if in_points else self.drop) + 0.0  # no -0.00
        return f"{self.metric} {change:+.2f} {'points' if in_points else '%'}"

    def __str__(self) -> str:
        compared = self.reports["compare"]
        parts = [self.table(), self.reports["verify"], compared]
        if (classes := compared.classes) is not None:  # type: ignore[attr-defined]
            parts.append(textwrap.fill(classes.sentence(), TERMINAL_WIDTH))
        return "\n\n".join(map(str, parts))

    def to_markdown(self) -> str:
        """All tables, those of the layers too, and the recipe."""
        recipe = f"## Recipe\n\n```yaml\n{recipe_text(self.recipe)}```\n"
        return "\n".join(
            [self.table().to_markdown(), *(one.to_markdown() for one in self.reports.values()), recipe]
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything but the model, as plain JSON types."""
        plain = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("model", "recipe", "reports")
        }
        reports = {name: report.to_dict() for name, report in self.reports.items()}
        # Through JSON, so that tuples are lists and nothing is shared.
        more = {
            "title": self.table().title,
            "verdict": self.verdict,
            "recipe": _plain(self.recipe),
            "reports": reports,
        }
        return json.loads(json.dumps({**plain, **more}))


def _plain(recipe: Recipe) -> dict[str, Any]:
    return {**dataclasses.asdict(dataclasses.replace(recipe, versions={})), "versions": dict(recipe.versions)}
