"""The recipe: everything that `tfopt.compress` is told, besides the model and the data."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfopt._text import short_repr
from tfopt.recipes._key import RecipeError, check_keys, key
from tfopt.recipes._rules import Rule, by_name, number, text, texts, whole
from tfopt.recipes._sections import (
    Cluster,
    Data,
    Distill,
    Export,
    Factorize,
    Prune,
    Quantize,
    Section,
    Shrink,
    Train,
)


def _is_target(value: Any) -> bool:
    # Imported here: the table is Keras' side of the house, and `tfopt recipes` must not wait for it.
    from tfopt.kernels import TARGETS

    return value == "litert" or (isinstance(value, str) and value in TARGETS)


_TARGET = Rule("'litert', 'tflm', 'ethos-u', 'edgetpu' or 'google-tensor'", _is_target)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """What `tfopt.compress` does: a section for each technique, None for one that is left out.

    The default quantizes to int8, after training if there is any to be done; the original model teaches where there
    is training. A recipe is written beside every result; it reads and writes as YAML (`tfopt.recipes`).

    Args:
        description: what it is for, in a line.
        target: the runtime, as for `QuantConfig.for_target`.
        seed: of everything that is random.
        max_drop: points of accuracy that may be lost (0.5: from 90 % to 89.5 %); for a metric that is an error,
            percent by which it may grow. None to accept any.
        budget: what the file may take, by the budgets of `tfopt.search`: `{"bytes": 100_000, "latency": 5}`. Channels,
            ranks and bits of each layer are found for it, but where `layers` of those sections says them.
        shrink: remove channels, see `tfopt.recipes.Shrink`.
        factorize: replace large kernels by products of small ones, see `tfopt.recipes.Factorize`.
        prune: make weights zero, see `tfopt.recipes.Prune`.
        cluster: let weights share a few values, see `tfopt.recipes.Cluster`.
        quantize: round to integers, see `tfopt.recipes.Quantize`.
        distill: let the original model teach, see `tfopt.recipes.Distill`.
        train: epochs and the like, see `tfopt.recipes.Train`.
        export: how the file is written, see `tfopt.recipes.Export`.
        data: how data is read, see `tfopt.recipes.Data`.
        versions: of the programs that a result was made with.

    Raises:
        ValueError: a key holds something else than it must.

    Example:

    >>> from tfopt.recipes import Prune, Recipe
    >>> Recipe(prune=Prune(sparsity=0.8), target="tflm").quantize.weight_bits
    8
    """

    description: str = key("", text(), "what it is for")
    target: str = key("litert", _TARGET, "the runtime")
    seed: int = key(0, whole(0, 2**32 - 1), "of everything that is random")
    max_drop: float | None = key(None, number(0).or_none(), "points of accuracy that may be lost")
    budget: Mapping[str, float] = key({}, by_name(number(0, above=True)), "what the file may take")
    shrink: Shrink | None = None
    factorize: Factorize | None = None
    prune: Prune | None = None
    cluster: Cluster | None = None
    quantize: Quantize | None = dataclasses.field(default_factory=Quantize)
    distill: Distill | None = dataclasses.field(default_factory=Distill)
    train: Train = dataclasses.field(default_factory=Train)
    export: Export = dataclasses.field(default_factory=Export)
    data: Data = dataclasses.field(default_factory=Data)
    versions: Mapping[str, str] = dataclasses.field(
        default_factory=dict, metadata={"rule": texts(), "help": "that a result was made with"}
    )

    def __post_init__(self) -> None:
        check_keys(self)
        for name, (section, optional) in SECTIONS.items():
            value = getattr(self, name)
            if not (isinstance(value, section) or (optional and value is None)):
                kind = f"tfopt.recipes.{section.__name__}{' or None' if optional else ''}"
                raise RecipeError(
                    f"The '{name}' key must be a {kind}. Got {short_repr(value)} instead.", (name,)
                )
        if self.budget and any(one is not None and not one.layers for one in (self.shrink, self.factorize)):
            raise RecipeError(
                "The 'budget' key finds channels and ranks. Got a 'shrink' or 'factorize' section beside it, which "
                "says them. Leave one out, or say those of single layers: shrink.layers.",
                ("budget",),
            )


# The sections by their key, and whether they can be left out: these are the techniques.
SECTIONS: dict[str, tuple[type[Section], bool]] = {
    "shrink": (Shrink, True),
    "factorize": (Factorize, True),
    "prune": (Prune, True),
    "cluster": (Cluster, True),
    "quantize": (Quantize, True),
    "distill": (Distill, True),
    "train": (Train, False),
    "export": (Export, False),
    "data": (Data, False),
}


def as_recipe(values: Mapping[str, Any]) -> Recipe:
    """The recipe of plain values, as YAML gives them; all keys are known.

    Args:
        values: by key; a section's is a mapping, or None.
    """
    made: dict[str, Any] = {
        name: SECTIONS[name][0](**value) if name in SECTIONS and isinstance(value, Mapping) else value
        for name, value in values.items()
    }
    return Recipe(**made)


def plain(recipe: Recipe) -> dict[str, Any]:
    """The target, the seed, and the keys that differ from their defaults, as plain values.

    >>> from tfopt.recipes._recipe import plain
    >>> plain(Recipe(distill=None))
    {'target': 'litert', 'seed': 0, 'distill': None}
    """
    written: dict[str, Any] = {}
    for field in dataclasses.fields(Recipe):
        value = getattr(recipe, field.name)
        if field.name in SECTIONS and value is not None:
            default = SECTIONS[field.name][0]
            changed = _changed(value, default)
            if changed or _default(field) is None:
                written[field.name] = changed
        elif field.name in ("target", "seed") or value != _default(field):
            written[field.name] = dict(value) if isinstance(value, Mapping) else value
    return written


def _changed(section: Section, kind: type[Section]) -> dict[str, Any]:
    pairs = ((field, getattr(section, field.name)) for field in dataclasses.fields(kind))
    return {
        field.name: list(value) if isinstance(value, tuple) else value
        for field, value in pairs
        if value != _default(field)
    }


def _default(field: dataclasses.Field) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
