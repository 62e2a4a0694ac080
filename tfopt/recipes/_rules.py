"""What a key of a recipe may hold: a rule says it in words, and decides."""

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a value must be.

    Attributes:
        wanted: in words, to be read after "must be".
        accepts: whether a value is that.
    """

    wanted: str
    accepts: Callable[[Any], bool]

    def or_none(self) -> "Rule":
        """The same, or None, which in YAML is null."""
        return Rule(f"{self.wanted}, or null", lambda value: value is None or self.accepts(value))


def number(
    low: float = -math.inf, high: float = math.inf, *, above: bool = False, below: bool = False
) -> Rule:
    """A finite number from `low` to `high`; `above` and `below` leave the ends out.

    >>> rule = number(0, 1, below=True)
    >>> rule.wanted, rule.accepts(0), rule.accepts(1), rule.accepts("0.5")
    ('a number in [0, 1)', True, False, False)
    """

    def accepts(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return False
        return (value > low if above else value >= low) and (value < high if below else value <= high)

    if high < math.inf:
        return Rule(f"a number in {'(' if above else '['}{low}, {high}{')' if below else ']'}", accepts)
    return Rule("a number" if low == -math.inf else f"a number {'above' if above else 'from'} {low}", accepts)


def whole(low: int, high: int | None = None) -> Rule:
    """A whole number from `low` to `high`, both included.

    >>> whole(1, 8).wanted, whole(0).accepts(2.0)
    ('a whole number from 1 to 8', False)
    """

    def accepts(value: Any) -> bool:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return is_whole and value >= low and (high is None or value <= high)

    return Rule(f"a whole number from {low}{'' if high is None else f' to {high}'}", accepts)


def one_of(*values: Any) -> Rule:
    """One of some values.

    >>> one_of("layer", "global").wanted
    "'layer' or 'global'"
    """
    *first, last = map(repr, values)
    words = f"{', '.join(first)} or {last}" if first else last
    return Rule(words, lambda value: any(value == one and type(value) is type(one) for one in values))


def text(pattern: str = "", wanted: str = "text") -> Rule:
    """Text, of a form if a regular expression is given.

    >>> text("[0-9]:[0-9]", "such as '2:4'").accepts("2:4")
    True
    """
    return Rule(
        wanted, lambda value: isinstance(value, str) and (not pattern or bool(re.fullmatch(pattern, value)))
    )


def switch() -> Rule:
    """True or false.

    >>> switch().accepts(1)
    False
    """
    return Rule("true or false", lambda value: isinstance(value, bool))


def limits() -> Rule:
    """Two numbers, the lower first.

    >>> limits().accepts((0, 1)), limits().accepts([1, 0])
    (True, False)
    """

    def accepts(value: Any) -> bool:
        one = number()
        return (
            isinstance(value, (list, tuple))
            and len(value) == 2
            and all(map(one.accepts, value))
            and value[0] < value[1]
        )

    return Rule("two numbers, the lower first, such as [0, 1]", accepts)


def expression() -> Rule:
    """A regular expression.

    >>> expression().accepts("conv("), expression().accepts("conv")
    (False, True)
    """

    def accepts(value: Any) -> bool:
        try:
            return isinstance(value, str) and bool(re.compile(value))
        except re.error:
            return False

    return Rule("a regular expression", accepts)


def by_name(rule: Rule) -> Rule:
    """Names with a value each.

    >>> by_name(whole(1, 8)).wanted, by_name(whole(1, 8)).accepts({"conv": 4})
    ('names, each with a whole number from 1 to 8', True)
    """
    return Rule(
        f"names, each with {rule.wanted}",
        lambda value: (
            isinstance(value, dict)
            and all(isinstance(name, str) and rule.accepts(one) for name, one in value.items())
        ),
    )


def texts() -> Rule:
    """Names with a text each.

    >>> texts().accepts({"keras": "3.15.1"})
    True
    """
    return Rule(
        "names with a text each",
        lambda value: (
            isinstance(value, dict) and all(isinstance(part, str) for item in value.items() for part in item)
        ),
    )
