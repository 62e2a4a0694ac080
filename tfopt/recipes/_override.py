"""A recipe with some keys changed: what flags do."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfopt.recipes._key import RecipeError, check_known
from tfopt.recipes._recipe import SECTIONS, Recipe


def override(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with other values.

    Args:
        recipe: the recipe; it is not changed.
        values: by key, with a dot between a section and its key; a section's key alone takes True, to switch the
            technique on as it is, or None, to leave it out.

    Returns:
        A new recipe.

    Raises:
        ValueError: an unknown key, or a value that it cannot hold.

    >>> from tfopt.recipes import Recipe, override
    >>> changed = override(Recipe(), {"prune.sparsity": 0.8, "distill": None, "target": "tflm"})
    >>> changed.prune.sparsity, changed.distill, changed.target
    (0.8, None, 'tflm')
    """
    top: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        section, _, key = name.partition(".")
        check_known(section, (field.name for field in dataclasses.fields(Recipe)))
        if key and section in SECTIONS:
            known = (field.name for field in dataclasses.fields(SECTIONS[section][0]))
            check_known(key, known, (section,))
            inner.setdefault(section, {})[key] = value
        elif key:
            check_known(key, (), (section,))
        elif section in SECTIONS and value is True:
            inner.setdefault(section, {})
        else:
            top[section] = value
    for section, given in inner.items():
        if section in top:
            if given:
                key = f"{section}.{next(iter(given))}"
                raise RecipeError(
                    f"The '{section}' section is left out, and {key!r} given. Leave one out.", (section,)
                )
        else:
            old = getattr(recipe, section)
            top[section] = dataclasses.replace(old, **given) if old else SECTIONS[section][0](**given)
    return dataclasses.replace(recipe, **top)
