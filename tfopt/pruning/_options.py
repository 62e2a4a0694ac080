"""Checks of Pruning's arguments: each alone, and their combinations."""

import re
from typing import Any

from keras import ops

from tfopt.pruning._criteria import Criterion
from tfopt.pruning._patterns import NofM, parse_pattern
from tfopt.pruning._regrowth import Regrowth


def check_where(where: Any) -> None:
    """Raise unless `where` is None, a regular expression or a function."""
    if isinstance(where, str):
        try:
            re.compile(where)
        except re.error as error:
            raise ValueError(
                f"The 'where' argument of Pruning must be a regular expression. Got {where!r} instead: {error}. "
                "Escape special characters with a backslash."
            ) from error
    elif where is not None and not callable(where):
        raise TypeError(
            "The 'where' argument of Pruning must be None, a regular expression or a function from layer to bool. "
            f"Got {where!r} instead. To prune one layer pass its path as a string."
        )


def check_options(schedule: Any, pattern: Any, scope: str, regrowth: Any, unit: Any) -> None:
    """Raise unless each argument is valid, and their combination too."""
    if not callable(schedule):
        raise TypeError(
            "The 'schedule' argument of Pruning must be a schedule such as PolynomialDecay, or a function from "
            f"step to sparsity. Got {schedule!r} instead. For 80 % throughout pass ConstantSparsity(0.8)."
        )
    if unit not in ("step", "epoch"):
        raise ValueError(f"The 'unit' argument of Pruning must be 'step' or 'epoch'. Got {unit!r} instead.")
    if regrowth is not None and not isinstance(regrowth, Regrowth):
        raise TypeError(
            f"The 'regrowth' argument of Pruning must be a RigL, a SET, an SRSTE or None. Got {regrowth!r} instead. "
            "For RigL pass RigL(end_step=1000)."
        )
    parsed = parse_pattern(pattern)
    if scope == "erk" and (isinstance(parsed, NofM) or pattern == "heads"):
        raise ValueError(
            f"The 'scope' argument of Pruning must be 'layer' or 'global' for pattern {pattern!r}. Got 'erk' instead. "
            "ERK is a rule about the shapes of single kernels."
        )
    if pattern in ("channels", "heads") and regrowth is not None and regrowth.decay is not None:
        raise ValueError(
            f"The 'regrowth' argument of Pruning must not be {regrowth!r} for pattern {pattern!r}: what leads to a "
            "unit and what reads it are both zero, so no gradient would move either. Use another regrowth or None."
        )
    if not isinstance(parsed, NofM):
        return
    if regrowth is not None and regrowth.needs is not None:
        raise ValueError(
            f"The 'regrowth' argument of Pruning must be an SRSTE or None for pattern {pattern!r}, whose groups others "
            f"would break. Got {regrowth!r} instead. Use SRSTE, or pattern='unstructured' or blocks."
        )
    end_step = getattr(schedule, "end_step", None)
    last = schedule(end_step) if end_step is not None else parsed.final
    if abs(last - parsed.final) > 1e-3:
        raise ValueError(
            f"The 'schedule' argument of Pruning must end at {parsed.final:.3g} for pattern {pattern!r}. "
            f"Got one that ends at {last:.3g} instead. {pattern} means that {parsed.n} of {parsed.m} are kept."
        )


def check_scheduled(sparsity: float, step: int) -> None:
    """Raise unless a schedule gave a sparsity."""
    if not 0 <= sparsity < 1:
        raise ValueError(
            f"The 'schedule' argument of Pruning must return a float in [0, 1). Got {sparsity!r} at step {step} "
            "instead. For 80 % zeros return 0.8."
        )


def growth_of(regrowth: Regrowth | None) -> Criterion | None:
    """The criterion that chooses the units to grow; None where masks are made anew."""
    return None if regrowth is None or regrowth.needs is None else _GROWTHS[regrowth.needs]


def _gradient_size(weight: Any, gradient: Any) -> Any:
    return ops.abs(gradient)


def _chance(weight: Any, noise: Any) -> Any:
    return noise


_GROWTHS = {"gradient": Criterion(_gradient_size, ("gradient",)), "noise": Criterion(_chance, ("noise",))}


def check_criterion(
    data: Any, name: Any, criterion: Criterion, regrowth: Regrowth | None, growth: Criterion | None
) -> None:
    """Raise if a criterion does not go with a regrowth, or one of them needs samples and there are none."""
    if criterion.shrinks and regrowth is not None and regrowth.decay is not None:
        raise ValueError(
            f"The 'criterion' argument of Pruning must not be {name!r} beside {regrowth!r}: it would shrink the kept "
            "weights each time masks are made. Use criterion='magnitude'."
        )
    reader = None
    if criterion.needs_data:
        reader = f"criterion={name!r}"
    elif growth is not None and growth.needs_data:
        reader = f"regrowth={regrowth!r}"
    if reader is not None and data is None:
        raise ValueError(
            f"The 'data' argument of Pruning must hold samples for {reader}. Got None instead. "
            "Pass (inputs, targets), or a few such batches."
        )
