"""Settings for single layers: which one applies, and what it changes."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tfopt.graph import Node, selects
from tfopt.kernels import row_of

# What may differ from layer to layer: of its weights, and the bits of what it reads and writes.
FIELDS = ("weight_bits", "granularity", "power_of_two", "ternary")
_ACTIVATIONS = "activation_bits"


def check_overrides(overrides: Any, config: Any) -> None:
    """Raises unless `overrides` maps patterns or functions to settings that `config` can take, or to None."""
    if not isinstance(overrides, Mapping):
        raise TypeError(
            "The 'overrides' argument of QuantConfig must be a dict from a regular expression, or a function from "
            "layer to bool, to settings. "
            f"Got {overrides!r} instead. For one layer pass {{'name': {{'weight_bits': 4}}}}."
        )
    for key, value in overrides.items():
        _check_key(key)
        if value is None:
            continue
        if not isinstance(value, Mapping) or not set(value) <= {*FIELDS, _ACTIVATIONS}:
            raise ValueError(
                f"The 'overrides' argument of QuantConfig must give {key!r} a dict with some of {', '.join(FIELDS)} "
                f"and {_ACTIVATIONS}, or None to leave the layer float. Got {value!r} instead. Other settings hold for "
                "the whole model."
            )
        if value.get(_ACTIVATIONS, 16) != 16 or (_ACTIVATIONS in value and config.activation_bits == 16):
            raise ValueError(
                f"The 'overrides' argument of QuantConfig must give {key!r} activations of 16 bits in a model of 8, or "
                f"say nothing of them. Got {value[_ACTIVATIONS]!r} in a model of {config.activation_bits}."
            )
        if not _is_float(value):
            dataclasses.replace(config, overrides={}, **value)


def _is_float(value: Mapping[str, Any] | None) -> bool:
    """Whether an override leaves a layer's weights float; with `weight_bits` None its activations may have 16 bits."""
    return value is None or value.get("weight_bits", 8) is None


def _check_key(key: Any) -> None:
    if isinstance(key, str):
        try:
            re.compile(key)
        except re.error as error:
            raise ValueError(
                f"The 'overrides' argument of QuantConfig must have regular expressions for keys. Got {key!r} instead: "
                f"{error}. Escape special characters with a backslash."
            ) from error
    elif not callable(key):
        raise TypeError(
            "The 'overrides' argument of QuantConfig must have regular expressions or functions from layer to bool for "
            f"keys. Got {key!r} instead. For one layer pass its name as a string."
        )


def wide_operations(config: Any, nodes: Iterable[Node]) -> frozenset[int]:
    """`id(op)` of the operations that overrides give 16-bit activations, with weights or without.

    Args:
        config: the `QuantConfig` of the model.
        nodes: all nodes.
    """
    found: set[int] = set()
    for node in nodes:
        first = next((v for key, v in config.overrides.items() if selects(key, node.op, node.path)), None)
        if first is not None and _ACTIVATIONS in first and row_of(node) is not None:
            found.add(id(node.op))
    return frozenset(found)


def resolve(config: Any, nodes: list[Node]) -> dict[int, Any]:
    """The configuration of each operation that overrides name, by `id(op)`; None for one to be left float.

    Args:
        config: the `QuantConfig` of the model.
        nodes: the nodes that have weights to quantize, or 16-bit activations.

    Returns:
        A dict with the operations to which the first override that fits gives other settings.

    Raises:
        ValueError: an override fits no layer.
    """
    changed: dict[int, Any] = {}
    unused = list(config.overrides)
    for node in nodes:
        for key, value in config.overrides.items():
            if selects(key, node.op, node.path):
                unused = [other for other in unused if other is not key]
                if id(node.op) not in changed:
                    settings = {"overrides": {}, **(value or {})}
                    if "granularity" in settings:
                        settings["dense_granularity"] = None
                    changed[id(node.op)] = (
                        None if _is_float(value) else dataclasses.replace(config, **settings)
                    )
                break
    if unused:
        paths = ", ".join(node.path for node in nodes[:8])
        raise ValueError(
            f"The 'overrides' argument of QuantConfig names {unused[0]!r}, which no layer with weights fits that an "
            f"earlier key does not name. Layers of this model: {paths}{', ...' if len(nodes) > 8 else ''}."
        )
    return changed
