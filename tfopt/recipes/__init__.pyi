from ._key import RecipeError
from ._override import override
from ._recipe import Recipe
from ._sections import Cluster, Data, Distill, Export, Factorize, Prune, Quantize, Shrink, Train
from ._shipped import load_recipe, shipped_recipes
from ._yaml import parse_value, read_recipe, recipe_text

__all__ = [
    "Cluster",
    "Data",
    "Distill",
    "Export",
    "Factorize",
    "Prune",
    "Quantize",
    "Recipe",
    "RecipeError",
    "Shrink",
    "Train",
    "load_recipe",
    "override",
    "parse_value",
    "read_recipe",
    "recipe_text",
    "shipped_recipes",
]
