"""What a search of a supernet found."""

import dataclasses
from collections.abc import Mapping

from tfopt._report import Report, Table
from tfopt.budgets._subnet_shape import SubnetShape


@dataclasses.dataclass(frozen=True)
class SubnetPoint:
    """A subnet.

    Attributes:
        costs: what it takes of each budget: as measured in the best, else as foreseen.
        loss: by how much the mean loss is above the whole model's.
        shape: what is left of the supernet.
    """

    costs: Mapping[str, float]
    loss: float
    shape: SubnetShape


@dataclasses.dataclass(frozen=True)
class SubnetReport(Report):
    """The way from the whole model to ever smaller subnets.

    Attributes:
        name: the supernet's name.
        budget: limits by budget.
        points: the subnets, the whole model first.
        best: the one within the budget that loses least; None where there is none.

    Example: see `Supernet`.
    """

    name: str
    budget: Mapping[str, float]
    points: tuple[SubnetPoint, ...]
    best: SubnetPoint | None

    def table(self) -> Table:
        rows = tuple(
            (
                *(_figure(point.costs[name]) for name in self.budget),
                f"{point.loss:.4f}",
                _least(point.shape.channels),
                str(len(point.shape.blocks)),
                str(len(point.shape.kernels)),
                "*" if self.best is not None and point.shape == self.best.shape else "",
            )
            for point in self.points
        )
        heads = (*self.budget, "loss", "least width", "blocks out", "smaller kernels", "")
        return Table(f"Subnets of {self.name}", heads, rows, (self._about_best(),))

    def _about_best(self) -> str:
        limits = ", ".join(f"{_figure(most)} {name}" for name, most in self.budget.items())
        if self.best is None:
            return f"No subnet is within {limits}."
        return f"* is within {limits}: it takes {', '.join(map(_figure, self.best.costs.values()))}."


def _figure(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def _least(parts: Mapping[str, float]) -> str:
    return f"{min(parts.values(), default=1.0):.0%}"
