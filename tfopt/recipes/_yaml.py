"""Recipes as YAML: what is wrong is said with its line and key."""

import dataclasses
import math
import os
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from tfopt._text import short_repr
from tfopt.recipes._key import RecipeError, check_known
from tfopt.recipes._recipe import SECTIONS, Recipe, as_recipe, plain

# A recipe is a page; what is longer is something else.
_LARGEST = 64 << 10


class _Loader(yaml.SafeLoader):
    """SafeLoader with the words of YAML 1.2: in 1.1, `2:4` is the number 124, `1e-3` a text and `no` false."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _form, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+0123456789.")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_form})$"), _first)
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
_Loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: float(node.value))


def read_recipe(path: str | os.PathLike) -> Recipe:
    """The recipe in a YAML file.

    Args:
        path: the file.

    Returns:
        A `Recipe`.

    Raises:
        ValueError: there is no such file, or something in it is wrong: named with its line and key.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "r.yaml"
    >>> _ = path.write_text("target: tflm\\nprune:\\n  pattern: 2:4\\n")
    >>> read_recipe(path).prune.pattern
    '2:4'
    """
    path = Path(path)
    try:
        content = path.read_bytes() if path.is_file() and path.stat().st_size <= _LARGEST else None
    except OSError as error:
        raise ValueError(f"The recipe {str(path)!r} cannot be read: {error.strerror}.") from error
    if content is None:
        what = f"{path.stat().st_size:,} bytes" if path.is_file() else "no such file"
        raise ValueError(
            f"A recipe must be a YAML file of {_LARGEST >> 10} KiB at most. Got {str(path)!r}: {what}. "
            "`tfopt recipes` lists those that are shipped."
        )
    return recipe_of(content, path.name)


def recipe_of(content: bytes | str, name: str = "recipe") -> Recipe:
    """The recipe of a YAML text.

    Args:
        content: the text.
        name: what it is called in messages.

    Raises:
        ValueError: something in it is wrong.
    """
    lines: dict[tuple[str, ...], int] = {}
    try:
        values = _values(content, lines)
        return as_recipe(values)
    except RecipeError as error:
        line = lines.get(error.where) or lines.get(error.where[:1])
        raise RecipeError(f"{name}{f', line {line}' if line else ''}: {error}", error.where) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}" if mark else ""
        raise RecipeError(f"{name}{place}: This is no YAML: {error.problem or error.context}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{name}: This is no YAML: {str(error).splitlines()[0]}.") from error
    except RecursionError as error:
        raise RecipeError(f"{name}: A recipe has keys and sections of keys. Got something nested.") from error


def _values(content: bytes | str, lines: dict[tuple[str, ...], int]) -> dict[str, Any]:
    """The values by key; `lines` takes the line of each key."""
    loader = _Loader(content)
    try:
        root = loader.get_single_node()
        if root is None:
            return {}
        fields = {field.name for field in dataclasses.fields(Recipe)}
        values: dict[str, Any] = {}
        for name, node in _items(loader, root, (), lines, fields):
            if name in SECTIONS and not _is_null(node):
                keys = {field.name for field in dataclasses.fields(SECTIONS[name][0])}
                inner = _items(loader, node, (name,), lines, keys)
                values[name] = {key: _value(loader, one, (name, key)) for key, one in inner}
            else:
                values[name] = _value(loader, node, (name,))
        return values
    finally:
        loader.dispose()


def _items(
    loader: yaml.SafeLoader,
    node: yaml.Node,
    where: tuple[str, ...],
    lines: dict[tuple[str, ...], int],
    known: set[str],
) -> list[tuple[str, yaml.Node]]:
    """The keys of a mapping with their nodes: known, each once."""
    if not isinstance(node, yaml.MappingNode):
        what = f"The '{where[0]}' section" if where else "A recipe"
        raise RecipeError(f"{what} must hold keys and values. Got {_short(node)} instead.", where)
    found: dict[str, yaml.Node] = {}
    for key_node, value in node.value:
        name = key_node.value if isinstance(key_node, yaml.ScalarNode) else _short(key_node)
        lines[(*where, name)] = key_node.start_mark.line + 1
        check_known(name, known, where)
        if name in found:
            raise RecipeError(f"The '{'.'.join((*where, name))}' key is there twice.", (*where, name))
        found[name] = value
    return list(found.items())


def _value(loader: yaml.SafeLoader, node: yaml.Node, where: tuple[str, ...]) -> Any:
    """A plain value: a scalar, some scalars, or names with scalars."""
    if _depth(node) > 1:
        raise RecipeError(
            f"The '{'.'.join(where)}' key must hold a plain value. Got something nested.", where
        )
    try:
        value = loader.construct_object(node, deep=True)
    except yaml.constructor.ConstructorError as error:
        raise RecipeError(
            f"The '{'.'.join(where)}' key must hold a plain value. Got a tag {short_repr(node.tag)}.", where
        ) from error
    except ValueError as error:  # Python does not read numbers of thousands of digits
        raise RecipeError(
            f"The '{'.'.join(where)}' key must hold a plain value. Got {short_repr(node.value)}.", where
        ) from error
    if isinstance(value, float) and not math.isfinite(value):
        raise RecipeError(f"The '{'.'.join(where)}' key must be finite. Got {node.value[:40]}.", where)
    return value


def _depth(node: yaml.Node) -> int:
    """0 for a scalar, 1 for scalars in a list or mapping, 2 for all that is deeper."""
    if isinstance(node, yaml.ScalarNode):
        return 0
    inside = (
        node.value if isinstance(node, yaml.SequenceNode) else [one for pair in node.value for one in pair]
    )
    return 1 if all(isinstance(one, yaml.ScalarNode) for one in inside) else 2


def _is_null(node: yaml.Node) -> bool:
    return node.tag == "tag:yaml.org,2002:null"


def _short(node: yaml.Node) -> str:
    return repr(node.value[:40]) if isinstance(node, yaml.ScalarNode) else "a list or mapping"


def parse_value(content: str) -> Hashable:
    """A value as a recipe would read it: what stands behind `--set key=`.

    >>> from tfopt.recipes._yaml import parse_value
    >>> parse_value("1e-3"), parse_value("2:4"), parse_value("null"), parse_value("[0, 1]")
    (0.001, '2:4', None, [0, 1])
    """
    try:
        return yaml.load(content, _Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise RecipeError(f"This is no value of a recipe: {short_repr(content)}.") from error


def recipe_text(recipe: Recipe) -> str:
    """The YAML of a recipe: its target, its seed, and the keys that differ from their defaults.

    Args:
        recipe: the recipe.

    >>> print(recipe_text(Recipe(target="tflm", seed=3)), end="")
    target: tflm
    seed: 3
    """
    return yaml.safe_dump(plain(recipe), sort_keys=False, allow_unicode=True, width=100)
