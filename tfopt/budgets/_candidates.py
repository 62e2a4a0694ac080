"""All sums of all shapes as points, models and files, and which of them to take."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfopt.analysis import Judge
from tfopt.budgets._apply import apply_point
from tfopt.budgets._budgets import is_of_shapes
from tfopt.budgets._measured import measure_model
from tfopt.budgets._narrowing import Narrowed
from tfopt.budgets._report import LayerChoice, Point
from tfopt.budgets._weights import Weights

# Files that are written until one is within the budget.
_FILES = 8


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A shape, and a choice for each layer of it.

    Attributes:
        shape: the shape's number.
        sum: the number of the choice in the shape's front.
    """

    shape: int
    sum: int


class Candidates:
    """What a model may become.

    Args:
        model: the float model.
        x: samples to calibrate and measure with.
        shapes: its shapes.
        weights: for each shape, what its weights may become.
        budget: limits by budget.
        target: the runtime.
    """

    def __init__(
        self,
        model: keras.Model,
        x: Any,
        shapes: Sequence[Narrowed],
        weights: Sequence[Weights],
        budget: Mapping[str, float | None],
        target: str,
    ) -> None:
        self.model, self.x, self.shapes, self.weights = model, x, shapes, weights
        self.names, self.target = tuple(budget), target
        self.files: dict[Candidate, dict[str, float]] = {}
        # What a file holds besides the kernels, and by how much a shape costs more than foreseen.
        self.rest = np.zeros((len(shapes), len(self.names)))
        if any(not is_of_shapes(name) for name in self.names):
            self.measured(Candidate(0, len(weights[0].damages) - 1))

    def costs(self, shape: int) -> np.ndarray:
        """What the sums of a shape are foreseen to cost: a row for each, a column for each budget."""
        weights, narrowed = self.weights[shape], self.shapes[shape]
        found = np.empty((len(weights.damages), len(self.names)))
        for column, name in enumerate(self.names):
            found[:, column] = narrowed.costs[name] if is_of_shapes(name) else weights.costs[name]
        return found + self.rest[shape]

    def damages(self, shape: int) -> np.ndarray:
        """By how much the loss is foreseen to grow with the sums of a shape."""
        return self.weights[shape].damages + self.shapes[shape].damage

    def point(self, one: Candidate) -> Point:
        """The point of a candidate."""
        numbers = self.files.get(one) or dict(zip(self.names, self.costs(one.shape)[one.sum], strict=True))
        shape, weights = self.shapes[one.shape].shape, self.weights[one.shape]
        layers = tuple(
            LayerChoice(path, option.bits, option.sparsity, option.n_clusters)
            for path, option in weights.choices(one.sum)
        )
        return Point(
            costs={name: _number(number) for name, number in numbers.items()},
            loss=round(float(self.damages(one.shape)[one.sum]), 6),
            layers=layers,
            target=self.target,
            channels=dict(shape.channels),
            ranks=dict(shape.ranks),
        )

    def measured(self, one: Candidate) -> dict[str, float]:
        """What the file of a candidate takes of each budget; neighbours are foreseen by it from now on."""
        if one not in self.files:
            foreseen = self.costs(one.shape)[one.sum]
            point = self.point(one)
            found = measure_model(self.model, apply_point(self.model, point, self.x), point, self.names)
            self.files[one] = found
            wrong = np.array([found[name] for name in self.names]) - foreseen
            self.rest[one.shape :] += wrong  # narrower shapes are more like this one than like those before
        return self.files[one]

    def within(self, budget: Mapping[str, float]) -> Candidate | None:
        """The least damaging candidate whose file is within every limit; None where none was found."""
        limits = np.array([budget[name] for name in self.names])
        for _ in range(_FILES):
            best = self._best(limits)
            if best is None or best in self.files:
                break
            self.measured(best)
        fitting = [one for one, found in self.files.items() if all(found[n] <= budget[n] for n in self.names)]
        return min(fitting, key=lambda one: float(self.damages(one.shape)[one.sum]), default=None)

    def _best(self, limits: np.ndarray) -> Candidate | None:
        found: list[tuple[float, Candidate]] = []
        for shape in range(len(self.shapes)):
            costs = self.costs(shape)
            for one, numbers in self.files.items():
                if one.shape == shape:
                    costs[one.sum] = [numbers[name] for name in self.names]
            fits = np.flatnonzero((costs <= limits).all(axis=1))
            if len(fits):
                at = fits[np.argmin(self.damages(shape)[fits])]
                found.append((float(self.damages(shape)[at]), Candidate(shape, int(at))))
        return min(found, key=lambda pair: pair[0])[1] if found else None

    def within_drop(self, judge: Judge, max_drop: float) -> tuple[Candidate, float] | None:
        """The cheapest candidate whose quantized model loses no more than allowed, by bisection, with what it loses."""
        exact = judge.metric(_outputs(self.model, self.x))
        if exact is None:
            raise ValueError(
                "The 'max_drop' argument takes a metric: labels with the data. Got none. Pass (x, y)."
            )

        def drop(one: Candidate) -> float:
            q = apply_point(self.model, self.point(one), self.x)
            return judge.task.drop(exact, judge.metric(_outputs(q, self.x)))  # type: ignore[arg-type]

        return _first(self.front(), drop, max_drop)

    def front(self) -> list[Candidate]:
        """The candidates of which none is both cheaper, by every budget, and less damaging: the cheapest first."""
        every = [Candidate(shape, n) for shape, w in enumerate(self.weights) for n in range(len(w.damages))]
        numbers = np.concatenate(
            [np.column_stack([self.costs(s), self.damages(s)]) for s in range(len(self.shapes))]
        )
        kept: list[int] = []
        for number in np.lexsort(numbers.T[::-1]):
            rows = numbers[kept]
            if not len(rows) or not (rows <= numbers[number]).all(axis=1).any():
                kept.append(int(number))
        return [every[number] for number in kept]


def _number(value: float) -> float:
    return int(value) if float(value).is_integer() else round(float(value), 4)


def _first(
    candidates: Sequence[Candidate], drop: Callable[[Candidate], float], allowed: float
) -> tuple[Candidate, float] | None:
    """The first of ever less damaging candidates that is tried and found good enough."""
    found = None
    low, high = 0, len(candidates)
    while low < high:
        middle = (low + high) // 2
        lost = drop(candidates[middle])
        if lost <= allowed:
            found, high = (candidates[middle], lost), middle
        else:
            low = middle + 1
    return found


def _outputs(model: keras.Model, x: Any) -> list[np.ndarray]:
    return [np.asarray(one) for one in keras.tree.flatten(model.predict(x, batch_size=64, verbose=0))]
