"""Recipes: what is wrong is named with line and key; what is written reads the same."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfopt.kernels import TARGETS
from tfopt.pipeline import TECHNIQUES
from tfopt.recipes import (
    Distill,
    Prune,
    Quantize,
    Recipe,
    Shrink,
    Train,
    load_recipe,
    override,
    recipe_text,
    shipped_recipes,
)
from tfopt.recipes._recipe import SECTIONS
from tfopt.recipes._yaml import parse_value, recipe_of

# A text -> the message.
WRONG = {
    "prune:\n  sparcity: 0.8": r"recipe, line 2: There is no key 'sparcity' in 'prune'. Did you mean 'sparsity'\?",
    "seed: 1\nqantize: null": r"line 2: There is no key 'qantize' in a recipe. Did you mean 'quantize'\?",
    "prune:\n  pattern: 2:4\n  sparsity: 1.5": r"line 3: The 'prune.sparsity' key must be a number in \(0, 1\), or",
    "prune:\n  sparsity: '0.5'": "line 2: The 'prune.sparsity' key must be a number",
    "prune:\n  sparsity: true": "line 2: The 'prune.sparsity' key must be a number",
    "\nprune: {}": "line 2: The 'prune.sparsity' key must say how many weights become zero",
    "prune: 0.8": "line 1: The 'prune' section must hold keys and values. Got '0.8' instead",
    "prune:\n  pattern: 2-4": "line 2: The 'prune.pattern' key must be 'unstructured'",
    "prune:\n  sparsity: 0.5\n  where: 'conv('": "line 3: The 'prune.where' key must be a regular expression",
    "prune:\n  sparsity: 0.5\n  layers:\n    a: 0.5": "line 1: The 'prune.layers' key says how many .* Leave these out",
    "prune:\n  layers:\n    a: 1.5": r"line 2: The 'prune.layers' key must be names, each with a number in \(0, 1\)",
    "quantize:\n  layers:\n    a: 9": "line 2: .* must be names, each with a whole number from 1 to 8. Got {'a': 9}",
    "shrink:\n  macs: 0.5\n  params: 0.5": "line 1: The 'shrink' section must have one budget .* Got macs, params",
    "shrink: {}": "must have one budget of channels, macs, params, bytes, layers. Got none",
    "quantize:\n  weight_bits: 9": "line 2: The 'quantize.weight_bits' key must be a whole number from 1 to 8",
    "quantize:\n  activation_bits: 4": "line 2: .* must be 8 or 16. Got 4",
    "quantize:\n  residual_bits: 12": "line 2: The 'quantize.residual_bits' key must be 8 or 16. Got 12",
    "train: null": "line 1: The 'train' key must be a tfopt.recipes.Train. Got None",
    "train:\n  epochs: 2.5": "line 2: The 'train.epochs' key must be a whole number from 0, or null. Got 2.5",
    "train:\n  learning_rate: .nan": "line 2: The 'train.learning_rate' key must be a number above 0. Got '.nan'",
    "train:\n  learning_rate: 1e999": "line 2: The 'train.learning_rate' key must be finite. Got 1e999",
    f"seed: {'9' * 5000}": "line 1: The 'seed' key must hold a plain value. Got '9{119} \\.\\.\\.",
    f"target: {'a' * 5000}": "line 1: The 'target' key must be .* Got 'a{119} \\.\\.\\. instead",
    "target: phone": "line 1: The 'target' key must be 'litert', 'tflm'",
    "seed: 1\nseed: 2": "line 2: The 'seed' key is there twice",
    "data:\n  image_range: [1, 0]": r"line 2: .* must be two numbers, the lower first, such as \[0, 1\]",
    "data:\n  image_range: [[0, 1]]": "line 2: .*image_range' key must hold a plain value. Got something nested",
    "seed: !!python/object/apply:os.system ['true']": "line 1: The 'seed' key must hold a plain value. Got a tag",
    "- prune": "A recipe must hold keys and values. Got a list or mapping",
    "prune: {sparsity: 0.5": "line 1: This is no YAML: expected",
    "a: b: c": "line 1: This is no YAML: mapping values are not allowed",
    "seed: \x00": "This is no YAML",
    "[" * 1500: "This is no YAML|something nested",
    "seed: &a 1\nmax_drop: *b": "line 2: This is no YAML: found undefined alias",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_named(text):
    with pytest.raises(ValueError, match=WRONG[text]) as caught:
        recipe_of(text)
    assert len(str(caught.value).splitlines()) == 1


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=60), st.binary(max_size=60)))
def test_any_text_is_a_recipe_or_a_sentence(text):
    try:
        assert isinstance(recipe_of(text), Recipe)
    except ValueError as error:
        assert str(error)


RECIPES = [
    Recipe(),
    Recipe(quantize=None, distill=None, description="ä: 'x'", seed=7, max_drop=0.5),
    Recipe(shrink=Shrink(channels=0.5, where="conv"), prune=Prune(pattern="2:4"), target="tflm"),
    Recipe(
        quantize=Quantize(weight_bits=4, layers={"head": 8}),
        prune=Prune(layers={"a/b": 0.5}),
        distill=Distill(weight=0),
        train=Train(epochs=3, learning_rate=1e-5),
    ),
    override(Recipe(), {"data.image_range": [0, 1], "export.sparse": True, "versions": {"keras": "3.15"}}),
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_is_written_reads_the_same(recipe):
    assert recipe_of(recipe_text(recipe)) == recipe
    assert "seed: " in recipe_text(recipe)


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_are_right(name):
    recipe = load_recipe(name)
    assert recipe.description and len(recipe.description) <= 80
    assert recipe_of(recipe_text(recipe)) == recipe


def test_values_mean_what_yaml_1_2_says():
    values = {
        "2:4": "2:4",
        "1e-3": 0.001,
        "no": "no",
        "010": 10,
        "null": None,
        "": None,
        "true": True,
        "1.": 1.0,
    }
    assert {text: parse_value(text) for text in values} == values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prun.sparsity": 0.5}, "Did you mean 'prune'"),
        ({"prune.sparsty": 0.5}, "Did you mean 'sparsity'"),
        ({"seed.x": 1}, "There is no key 'x' in 'seed'"),
        ({"prune": True}, "must say how many weights become zero"),
        ({"quantize": None, "quantize.weight_bits": 4}, "is left out, and 'quantize.weight_bits' given"),
        ({"prune": 3}, "The 'prune' key must be a tfopt.recipes.Prune or None"),
    ],
)
def test_wrong_overrides_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        override(Recipe(), values)


def test_overrides_win_and_leave_the_rest():
    recipe = override(load_recipe("sparse-int8"), {"prune.sparsity": 0.5, "quantize": None, "distill": True})
    assert recipe.prune == Prune(sparsity=0.5, scope="global", criterion="lamp")
    assert recipe.quantize is None and recipe.distill == Distill()


def test_tables_agree():
    """A technique is a section of the recipe, which can be left out; the targets are those that there are."""
    optional = {name for name, (_, may_be_none) in SECTIONS.items() if may_be_none}
    assert {row.name for row in TECHNIQUES} == optional
    rule = next(field for field in dataclasses.fields(Recipe) if field.name == "target").metadata["rule"]
    assert all(rule.accepts(target) and repr(target) in rule.wanted for target in TARGETS)
    assert all(
        field.metadata.get("help")
        for section, _ in SECTIONS.values()
        for field in dataclasses.fields(section)
    )


def test_a_missing_recipe_is_named(tmp_path):
    for path, words in ((tmp_path / "no.yaml", "must be a YAML file or one of"), (tmp_path, "no such file")):
        with pytest.raises(ValueError, match=words):
            load_recipe(path)
    (tmp_path / "long.yaml").write_text("#" * 70_000)
    with pytest.raises(ValueError, match="70,000 bytes"):
        load_recipe(tmp_path / "long.yaml")
