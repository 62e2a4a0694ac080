"""A key of a recipe: its default, its rule and what it means."""

import dataclasses
import difflib
from collections.abc import Iterable
from typing import Any

from tfopt._text import short_repr
from tfopt.recipes._rules import Rule


class RecipeError(ValueError):
    """A recipe that holds something wrong.

    Attributes:
        where: the keys on the way to it.

    >>> str(RecipeError("The 'sparsity' key must be a number.", ("prune", "sparsity")))
    "The 'sparsity' key must be a number."
    """

    def __init__(self, sentence: str, where: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.where = where


def key(default: Any, rule: Rule, help: str) -> Any:
    """A field of a section.

    Args:
        default: its value where a recipe does not name it.
        rule: what it may hold.
        help: what it means, in one line.
    """
    # `hash` would leave dicts out only by failing: a recipe is compared, not hashed.
    metadata = {"rule": rule, "help": help}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def check_keys(section: Any, name: str = "") -> None:
    """Raises a RecipeError unless each field of a dataclass fits its rule.

    Args:
        section: the dataclass.
        name: its key in the recipe; "" for the recipe itself.
    """
    for field in dataclasses.fields(section):
        rule = field.metadata.get("rule")
        value = getattr(section, field.name)
        if rule is not None and not rule.accepts(value):
            where = tuple(filter(None, (name, field.name)))
            raise RecipeError(
                f"The '{'.'.join(where)}' key must be {rule.wanted}. Got {short_repr(value)} instead.", where
            )


def check_known(name: Any, known: Iterable[str], where: tuple[str, ...] = ()) -> None:
    """Raises a RecipeError that names the nearest key unless a key is known.

    Args:
        name: the key.
        known: all that there are.
        where: the section that it stands in.

    >>> from tfopt.recipes._key import check_known
    >>> check_known("sparcity", ["sparsity", "scope"], ("prune",))
    Traceback (most recent call last):
    ...
    tfopt.recipes._key.RecipeError: There is no key 'sparcity' in 'prune'. Did you mean 'sparsity'?
    """
    known = sorted(known)
    if name in known:
        return
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."
    place = f" in '{'.'.join(where)}'" if where else " in a recipe"
    raise RecipeError(f"There is no key {short_repr(name)}{place}. {hint}", (*where, str(name)))
