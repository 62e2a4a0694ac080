"""What is installed with tfopt: everything that it imports, the stubs it reads, and the versions it was tested on."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tfopt

ROOT = Path(__file__).parent.parent
# Where the name of an import is not that of what is installed.
DISTRIBUTIONS = {
    "absl": "absl-py",
    "sklearn": "scikit-learn",
    "tf_keras": "tensorflow-model-optimization",
    "yaml": "pyyaml",
}


def setup_arguments():
    """The literal arguments of `setup(...)` in setup.py."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    names = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List)
    }
    (call,) = [
        node.value for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ]
    arguments = {keyword.arg: keyword.value for keyword in call.keywords}
    return ast.literal_eval(arguments["install_requires"]), ast.literal_eval(names["EXAMPLES"])


REQUIRED, EXAMPLES = setup_arguments()


def requirement_names(requirements):
    return {re.split(r"[<>=]", requirement)[0] for requirement in requirements}


def imported():
    """The top names of all imports in the package, inside functions too."""
    for path in (ROOT / "tfopt").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                yield node.module.partition(".")[0]


def test_what_is_imported_is_declared():
    third_party = set(imported()) - {"tfopt", *sys.stdlib_module_names}
    names = {DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in third_party}
    # scikit-learn is for the demo alone; tflite-micro, ai-edge-quantizer and optuna are extras; jax may be Keras' own.
    assert names == requirement_names(REQUIRED) | {
        "scikit-learn",
        "tflite-micro",
        "ai-edge-quantizer",
        "jax",
        "optuna",
    }
    assert "scikit-learn" in requirement_names(EXAMPLES)


def test_the_lower_bounds_are_the_versions_that_are_tested():
    ours, _, _ = (ROOT / "tests" / "oldest.txt").read_text().partition("# Not ours")
    lines = ours.splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    bounds = dict(requirement.split(">=") for requirement in REQUIRED)
    assert pinned.keys() == bounds.keys()
    for name, bound in bounds.items():
        assert f"{pinned[name]}.".startswith(f"{bound}."), (
            f"{name}: {bound} is allowed, {pinned[name]} tested"
        )


@pytest.mark.slow
def test_a_wheel_holds_version_stubs_and_the_mark_of_types(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"tfopt-{tfopt.__version__}-")
    held = set(zipfile.ZipFile(wheel).namelist())
    needed = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "tfopt").rglob("*.py*") if path.suffix != ".pyc"
    }
    assert "tfopt/py.typed" in held
    assert "tfopt/__init__.pyi" in needed
    assert {f"tfopt/page/templates/{name}" for name in ("page.html", "blocks.html", "style.css")} <= held
    assert {f"tfopt/recipes/shipped/{name}.yaml" for name in tfopt.recipes.shipped_recipes()} <= held
    assert needed <= held
