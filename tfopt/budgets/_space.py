"""The table of what a search may change: in the weights of a layer, or in its shape."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tfopt.budgets._budgets import is_of_shapes
from tfopt.budgets._options import Option


@dataclasses.dataclass(frozen=True)
class Dimension:
    """A row of the table.

    Attributes:
        plain: the value that leaves a layer as it is.
        values: what is tried where a budget can be met by it, and the user says nothing.
        accepts: whether a value is one.
        wanted: what it must be, in words.
        of_shapes: whether it changes the shapes of tensors, or the weights alone.
    """

    plain: float
    values: tuple[float, ...]
    accepts: Callable[[Any], bool]
    wanted: str
    of_shapes: bool = False


# A new one is a row here, and a field of `Option` (weights) or of `Shape`.
SPACE: dict[str, Dimension] = {
    "weight_bits": Dimension(8, (8, 6, 5, 4, 3, 2), lambda one: one in range(1, 9), "bits from 1 to 8"),
    "sparsity": Dimension(0.0, (0.0, 0.5, 0.8), lambda one: 0 <= one < 1, "sparsities in [0, 1)"),
    "n_clusters": Dimension(
        0, (0,), lambda one: one == 0 or one in range(3, 128), "0 for no clusters, or 3 to 127 values"
    ),
    "channels": Dimension(
        1.0, (1.0, 0.75, 0.5, 0.25), lambda one: 0 < one <= 1, "parts of channels in (0, 1]", of_shapes=True
    ),
    "rank": Dimension(1.0, (1.0,), lambda one: 0 < one <= 1, "parts of ranks in (0, 1]", of_shapes=True),
}


def check_space(space: Mapping[str, Sequence[float]], budgets: Iterable[str]) -> dict[str, tuple[float, ...]]:
    """The values of every dimension: as given, else those that can meet the budgets, else none but the plain one.

    Raises:
        ValueError: a dimension or one of its values is not known.
    """
    unknown = set(space) - set(SPACE)
    if unknown:
        raise ValueError(
            f"The 'space' argument must have some of the keys {', '.join(map(repr, SPACE))}. Got {sorted(unknown)}."
        )
    asked = {is_of_shapes(name) for name in budgets}
    full = {}
    for name, row in SPACE.items():
        values = tuple(space.get(name, row.values if row.of_shapes in asked else (row.plain,)))
        bad = [one for one in values if not row.accepts(one)]
        if bad or not values:
            raise ValueError(
                f"The 'space' argument must hold {row.wanted} as {name!r}. Got "
                f"{bad[0] if bad else 'an empty list'}."
            )
        full[name] = values
    return full


def check_layers(layers: Mapping[str, Mapping[str, float]]) -> None:
    """Raises a ValueError unless rows of single layers hold values of known dimensions."""
    for path, row in layers.items():
        for name, value in row.items():
            if name not in SPACE:
                raise ValueError(
                    f"The 'layers' argument must give {path!r} some of {', '.join(map(repr, SPACE))}. Got {name!r}."
                )
            if not SPACE[name].accepts(value):
                raise ValueError(
                    f"The 'layers' argument must give {path!r} one of {SPACE[name].wanted} as {name!r}. Got {value!r}."
                )


def check_paths(layers: Mapping[str, Mapping[str, float]], name: str, known: Iterable[str]) -> None:
    """Raises a ValueError where a row has a dimension that its layer has not.

    Args:
        layers: rows by path.
        name: the dimension.
        known: paths of the layers that have it.
    """
    known = tuple(known)
    for path, row in layers.items():
        if name in row and path not in known:
            raise ValueError(
                f"The 'layers' argument must give {name!r} to layers that have it: {', '.join(known) or 'none'}. Got "
                f"{path!r}. Leave it out."
            )


def widened(
    space: Mapping[str, Sequence[float]], layers: Mapping[str, Mapping[str, float]]
) -> dict[str, tuple[float, ...]]:
    """The space with what rows of single layers say.

    >>> from tfopt.budgets._space import widened
    >>> widened({"weight_bits": (4, 2)}, {"head": {"weight_bits": 8}})
    {'weight_bits': (4, 2, 8)}
    """
    return {
        name: (*values, *dict.fromkeys(row[name] for row in layers.values() if name in row))
        for name, values in space.items()
    }


def allows(space: Mapping[str, Sequence[float]], row: Mapping[str, float], option: Option) -> bool:
    """Whether a layer may have an option: what its row says, else what the space has.

    >>> from tfopt.budgets._space import allows
    >>> space = {"weight_bits": (4, 2), "sparsity": (0.0,), "n_clusters": (0,)}
    >>> [allows(space, row, Option(8)) for row in ({}, {"weight_bits": 8})]
    [False, True]
    """
    of_option = {"weight_bits": option.bits, "sparsity": option.sparsity, "n_clusters": option.n_clusters}
    return all(value in ((row[name],) if name in row else space[name]) for name, value in of_option.items())


def options_of(space: Mapping[str, Sequence[float]]) -> list[Option]:
    """What the weights of a layer may become; clusters are of 8 bits, which hold any values.

    >>> from tfopt.budgets._space import options_of
    >>> [one.name for one in options_of({"weight_bits": (8, 4), "sparsity": (0.0,), "n_clusters": (0, 16)})]
    ['4 bits', '8 bits', '8 bits, 16 values']
    """
    every = itertools.product(space["weight_bits"], space["sparsity"], space["n_clusters"])
    found = {
        Option(int(bits), float(zeros), int(values))
        for bits, zeros, values in every
        if not values or bits == 8
    }
    return sorted(found)
