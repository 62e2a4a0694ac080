"""The rank of each layer: by energy, by a budget, or as the user says."""

from collections.abc import Callable, Mapping, Sequence

from tfopt.factorization._decompositions import rank_of
from tfopt.factorization._parts import Factors

Ranks = tuple[int, ...]


def by_energy(factors: Sequence[Factors], energy: float, of: str) -> list[Ranks | None]:
    """The smallest ranks that keep a part of each layer's energy; None where the factors are not cheaper.

    Args:
        factors: the layers.
        energy: the part, in (0, 1].
        of: what must be cheaper: `"params"`, `"macs"` or `"bytes"`.
    """
    found: list[Ranks | None] = []
    for layer in factors:
        ranks = tuple(rank_of(squares, energy) for squares in layer.spectra)
        found.append(ranks if layer.cost(ranks, of) < layer.cost(None, of) else None)
    return found


def within_budget(
    factors: Sequence[Factors], budget: float, rest: float, of: str
) -> list[Ranks | None] | None:
    """The ranks of the largest energy, the same for all layers, at which the model is within a budget.

    Args:
        factors: the layers.
        budget: what the model may cost.
        rest: what it costs besides the kernels of these layers.
        of: `"params"`, `"macs"` or `"bytes"`.

    Returns:
        The ranks; None if rank 1 in every layer costs more.
    """

    def total(energy: float) -> float:
        ranks = by_energy(factors, energy, of)
        return rest + sum(layer.cost(found, of) for layer, found in zip(factors, ranks, strict=True))

    energy = largest_within(total, budget)
    return None if energy is None else by_energy(factors, energy, of)


def largest_within(total: Callable[[float], float], budget: float, fine: float = 1e-6) -> float | None:
    """The largest energy of which the total is within a budget, by bisection; None if even that of 0 is not.

    >>> from tfopt.factorization._select import largest_within
    >>> round(largest_within(lambda energy: 10 * energy, budget=4), 3), largest_within(lambda energy: 5, budget=4)
    (0.4, None)
    """
    if total(1.0) <= budget:
        return 1.0
    low, high = 0.0, 1.0
    if total(low) > budget:
        return None
    while high - low > fine:
        middle = (low + high) / 2
        low, high = (middle, high) if total(middle) <= budget else (low, middle)
    return low


def as_given(factors: Sequence[Factors], ranks: Mapping[str, float | Sequence[int]]) -> list[Ranks | None]:
    """The ranks that the user gives, by the layers' paths or names, or parts of them; None for other layers.

    Raises:
        ValueError: a layer is not there, or has other ranks.
    """
    layers = {key: layer for layer in factors for key in (layer.op.name, layer.path)}
    chosen: dict[int, Ranks] = {}
    for name, given in ranks.items():
        if name not in layers:
            known = ", ".join(layer.path for layer in factors)
            raise ValueError(
                f"The 'ranks' argument must name layers that have factors: {known}. Got {name!r}."
            )
        most = tuple(len(squares) for squares in layers[name].spectra)
        if isinstance(given, float) and 0 < given <= 1:
            found = tuple(max(1, int(given * rank)) for rank in most)
        else:
            found = (given,) if isinstance(given, (int, float)) else tuple(given)  # type: ignore[assignment]
        whole = all(
            isinstance(rank, int) and 1 <= rank <= top for rank, top in zip(found, most, strict=False)
        )
        if len(found) != len(most) or not whole:
            raise ValueError(
                f"The 'ranks' argument must give {name!r} {len(most)} whole number{'s' * (len(most) > 1)}, at most "
                f"{' and '.join(map(str, most))}. Got {given!r}."
            )
        chosen[id(layers[name])] = found
    return [chosen.get(id(layer)) for layer in factors]
