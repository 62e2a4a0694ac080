"""The recipes that come with tfopt, by name."""

import os
from pathlib import Path

import yaml

from tfopt.recipes._recipe import Recipe
from tfopt.recipes._yaml import read_recipe

_FOLDER = Path(__file__).parent / "shipped"


def shipped_recipes() -> dict[str, str]:
    """The names of the recipes that come with tfopt, and what each is for.

    >>> from tfopt.recipes import shipped_recipes
    >>> sorted(shipped_recipes())[:2]
    ['accurate-int8', 'ethos-u-sparse']
    """
    paths = sorted(_FOLDER.glob("*.yaml"))
    return {path.stem: yaml.safe_load(path.read_bytes())["description"] for path in paths}


def load_recipe(name: str | os.PathLike) -> Recipe:
    """The recipe of that name, or in that file.

    Args:
        name: a name that `shipped_recipes` lists, or the path of a YAML file.

    Raises:
        ValueError: there is neither, or something in the file is wrong.

    >>> from tfopt.recipes import load_recipe
    >>> load_recipe("tflm-int8").target
    'tflm'
    """
    known = shipped_recipes()
    if str(name) in known and not Path(name).exists():
        return read_recipe(_FOLDER / f"{name}.yaml")
    if not Path(name).exists():
        raise ValueError(
            f"A recipe must be a YAML file or one of {', '.join(known)}. Got {str(name)!r} instead."
        )
    return read_recipe(name)
