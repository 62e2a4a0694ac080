from ._override import override
from ._recipe import Recipe
from ._sections import Data, Distill, Export, Prune, Quantize, Shrink, Train
from ._shipped import load_recipe, shipped_recipes
from ._yaml import read_recipe, recipe_text

__all__ = [
    "Data",
    "Distill",
    "Export",
    "Prune",
    "Quantize",
    "Recipe",
    "Shrink",
    "Train",
    "load_recipe",
    "override",
    "read_recipe",
    "recipe_text",
    "shipped_recipes",
]
