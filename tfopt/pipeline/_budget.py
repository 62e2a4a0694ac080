"""A recipe with a budget: what each layer becomes is found before anything else is done."""

import dataclasses
from pathlib import Path

from tfopt._files import write_whole
from tfopt._samples import count
from tfopt.budgets import Point, measure_file, search
from tfopt.pipeline._run import Run
from tfopt.recipes import Recipe, read_recipe, recipe_text

# What a killed run has found: where time is measured, another search might find something else.
_FOUND = "found.yaml"
# Bits that are tried in each layer where a recipe says what the file may take.
SEARCHED = (8, 6, 5, 4, 3, 2)


def limits_of(run: Run) -> dict[str, float]:
    """The budget, whose bytes are those of a file with compressed kernels where the recipe compresses them."""
    renamed = {"bytes": "compressed_bytes"} if run.recipe.export.compress else {}
    return {renamed.get(name, name): most for name, most in run.recipe.budget.items()}


def meet_budget(run: Run, state: Path | None) -> Run:
    """The run with the channels, ranks and bits that `search` finds for the budget of its recipe.

    Args:
        run: what to work on.
        state: a folder for what was found, which a resumed run takes from there; None for none.

    Raises:
        ValueError: nothing within the budget was found, or a section says what the search cannot keep.
    """
    if not run.recipe.budget:
        return run
    path = None if state is None else state / _FOUND
    if path is not None and path.exists():
        return dataclasses.replace(run, recipe=read_recipe(path))
    run.say("Searching for what each layer becomes")
    x, most = run.calibration(), run.recipe.quantize.weight_bits if run.recipe.quantize else 8
    said = _said(run.recipe)
    labels = None if run.train[1] is None else run.train[1][: count(x)]
    found = search(
        run.original,
        x if labels is None else (x, labels),
        limits_of(run),
        {"weight_bits": [most, *(one for one in SEARCHED if one < most)], "sparsity": (0.0,)},
        layers=said,
        target=run.recipe.target,
    )
    if found.best is None:
        least = {name: min(point.costs[name] for point in found.points) for name in found.budget}
        raise ValueError(
            f"The 'budget' key must be something that the model can be brought to. Got {dict(run.recipe.budget)}; "
            f"the least of each that was found, without training, is {least}. Raise it, or start from a smaller model."
        )
    own = found.best.recipe
    bits = {
        one.path: one.bits
        for one in found.best.layers
        if one.bits != most or "weight_bits" in said.get(one.path, {})
    }
    recipe = dataclasses.replace(
        run.recipe,
        shrink=own.shrink,
        factorize=own.factorize,
        quantize=dataclasses.replace(run.recipe.quantize or own.quantize, layers=bits),  # type: ignore[type-var]
    )
    if path is not None:
        write_whole(path, recipe_text(recipe).encode())
    return dataclasses.replace(run, recipe=recipe)


def _said(recipe: Recipe) -> dict[str, dict[str, float]]:
    """What a recipe says of single layers, which the search keeps, by path.

    Raises:
        ValueError: its section of channels says how else they are chosen.
    """
    said: dict[str, dict[str, float]] = {}
    for name, section in (
        ("channels", recipe.shrink),
        ("rank", recipe.factorize),
        ("weight_bits", recipe.quantize),
    ):
        for path, value in section.layers.items() if section else ():
            said.setdefault(path, {})[name] = value
    for name, key in (("shrink", "channels"), ("factorize", "ranks")):
        own = getattr(recipe, name)
        searched = own and getattr(Point({}, 0.0, (), recipe.target, **{key: own.layers}).recipe, name)
        if own != searched:
            rounds = f" and divisor: {searched.divisor}" if name == "shrink" else ""
            raise ValueError(
                f"The {name!r} section beside a 'budget' must have 'layers'{rounds} alone, as the search finds the "
                f"rest by magnitude. Got {own}. Change that, or leave out the 'budget'."
            )
    return said


def file_figures(run: Run, path: Path) -> tuple[dict[str, float], bool]:
    """What a file takes of each budget of the recipe, and whether it is within all of them.

    Args:
        run: what was done.
        path: the file.
    """
    limits = limits_of(run)
    shrink, factorize = run.recipe.shrink, run.recipe.factorize
    taken = measure_file(
        run.original,
        path,
        tuple(limits),
        target=run.recipe.target,
        channels=shrink.layers if shrink else {},
        ranks=factorize.layers if factorize else {},
        bits=run.recipe.quantize.layers if run.recipe.quantize else {},
    )
    return taken, all(taken[name] <= most for name, most in limits.items())
