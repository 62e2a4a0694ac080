"""The sums of a front as points, models and files, and which of them to take."""

import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tfopt._export_from import export
from tfopt.analysis import Judge
from tfopt.budgets._apply import apply_point
from tfopt.budgets._front import Sum
from tfopt.budgets._options import Option
from tfopt.budgets._report import LayerChoice, Point
from tfopt.runtimes import measure_size

# Files that are written until one is within the budget.
_FILES = 6


class Candidates:
    """The sums of a front for a model.

    Args:
        model: the float model.
        x: samples to calibrate and measure with.
        paths: the layers.
        options: what each may become.
        sums: the front, the cheapest first.
        form: what costs are of, a key of `FORMS`.
        target: the runtime.
    """

    def __init__(
        self,
        model: keras.Model,
        x: Any,
        paths: Sequence[str],
        options: Sequence[Option],
        sums: Sequence[Sum],
        form: str,
        target: str,
    ) -> None:
        self.model, self.x, self.paths, self.options, self.sums = model, x, paths, options, sums
        self.form, self.target = form, target
        self.other = 0
        if form != "nonzeros":  # what a file holds besides these kernels
            self.other = self.measured(sums[-1]) - sums[-1].cost

    def point(self, one: Sum) -> Point:
        """The point of a sum."""
        picked = zip(self.paths, one.picks, strict=True)
        rows = tuple(
            LayerChoice(path, self.options[pick].bits, self.options[pick].sparsity) for path, pick in picked
        )
        return Point(one.cost + self.other, round(one.damage, 6), rows, self.target, self.form)

    def measured(self, one: Sum) -> int:
        """The bytes of a file of a sum; its weights that are not zero need no measuring."""
        if self.form == "nonzeros":
            return one.cost
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.tflite")
            compress = self.form == "compressed_bytes"
            export(apply_point(self.model, self.point(one), self.x), path, compress=compress)
            return measure_size(path).raw

    def within(self, most: int) -> tuple[Sum, int] | None:
        """The least damaging sum whose file is within the budget, with the bytes of that file."""
        allowed = most
        for _ in range(_FILES):
            fitting = [one for one in self.sums if one.cost + self.other <= allowed]
            if not fitting:
                return None
            best = min(fitting, key=lambda one: (one.damage, one.cost))
            size = self.measured(best)
            if size <= most:
                return best, size
            allowed = best.cost + self.other - max(size - most, 1)
        return None

    def within_drop(self, judge: Judge, max_drop: float) -> tuple[Sum, float] | None:
        """The cheapest sum whose quantized model loses no more than allowed, by bisection, with what it loses."""
        exact = judge.metric(_outputs(self.model, self.x))
        if exact is None:
            raise ValueError(
                "The 'max_drop' argument takes a metric: labels with the data. Got none. Pass (x, y)."
            )

        def drop(index: int) -> float:
            q = apply_point(self.model, self.point(self.sums[index]), self.x)
            return judge.task.drop(exact, judge.metric(_outputs(q, self.x)))  # type: ignore[arg-type]

        return _first(len(self.sums), drop, max_drop, lambda index: self.sums[index])


def _first(
    count: int, drop: Callable[[int], float], allowed: float, thing: Callable[[int], Sum]
) -> tuple[Sum, float] | None:
    """The first of ever less damaging sums that is tried and found good enough."""
    found = None
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        lost = drop(middle)
        if lost <= allowed:
            found, high = (thing(middle), lost), middle
        else:
            low = middle + 1
    return found


def _outputs(model: keras.Model, x: Any) -> list[np.ndarray]:
    return [np.asarray(one) for one in keras.tree.flatten(model.predict(x, batch_size=64, verbose=0))]
