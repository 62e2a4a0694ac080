"""tfopt recipes [NAME]: the recipes that come with tfopt for tfopt compress --recipe NAME, or the text of one."""

from tfopt._report import Table
from tfopt.recipes import load_recipe, recipe_text, shipped_recipes


def main(arguments: list[str]) -> None:
    """Runs the command."""
    if len(arguments) > 1:
        raise ValueError(f"Expected one NAME, or nothing. Got {' '.join(arguments)} instead.")
    if arguments:
        print(recipe_text(load_recipe(arguments[0])), end="")
        return
    print(Table("Recipes", ("name", "what for"), tuple(shipped_recipes().items())))
