"""Importing tfopt is harmless and cheap, and everything is there all the same: names, types and saved classes."""

import ast
import importlib
import json
import pickle
import pkgutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt
from tests.test_api import PACKAGES, serializable
from tfopt._serialization import SERIALIZABLE, StandIn

ROOT = Path(tfopt.__file__).parent
OLD_FILE = Path(__file__).parent / "data" / "quantized_half_pruned.keras"
OLD_FILE_LOADS = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 15)  # the version that saved it


def run_python(program, *arguments):
    """What a program prints in a process of its own, its last line read as JSON."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


IMPORT = """
import json, os, sys, time, keras, tensorflow
before, environment, start = set(sys.modules), dict(os.environ), time.process_time()
import tfopt
seconds = time.process_time() - start
new = sorted(set(sys.modules) - before)
harmless = [new, seconds, dict(os.environ) == environment, dir(tfopt) == tfopt.__all__]
from tfopt.quantization import quantize
print(json.dumps([*harmless, sorted(name for name in sys.modules if name.startswith("tfopt."))]))
"""


def test_importing_is_harmless_and_cheap_and_one_feature_does_not_load_another():
    modules, seconds, same_environment, names_are_there, quantizing = run_python(IMPORT)
    assert same_environment
    assert names_are_there
    assert {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names) == {
        "lazy_loader",
        "tfopt",
    }
    assert [module for module in modules if module.startswith("tfopt")] == ["tfopt", "tfopt._serialization"]
    assert seconds <= 0.1
    packages = {name.split(".")[1] for name in quantizing}
    assert "quantization" in packages
    assert not packages & {"conversion", "distillation", "legacy", "pruning", "runtimes", "shrinking"}


REACH = """
import json, sys, tfopt
for name in ("legacy", "distribute", "conversion", "distillation", "pruning", "quantization", "runtimes", "shrinking"):
    getattr(tfopt, name)
from tfopt.runtimes import TFLiteFile, inspect
heavy = {"keras", "tensorflow", "ai_edge_litert", "rich", "tensorflow_model_optimization", "tf_keras"}
print(json.dumps(sorted(heavy & set(sys.modules))))
"""


def test_packages_are_reached_without_what_they_need():
    assert run_python(REACH) == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_stub_lists_what_the_package_exports(package):
    stub = Path(package.__file__).with_suffix(".pyi")
    if not stub.exists():
        return
    nodes = ast.parse(stub.read_text()).body
    (listed,) = [ast.literal_eval(node.value) for node in nodes if isinstance(node, ast.Assign)]
    assert sorted(listed) == sorted(package.__all__) == sorted(dir(package))


@pytest.mark.slow
def test_eager_import_finds_every_name():
    """What `EAGER_IMPORT=1`, the switch of lazy_loader, does: no name is missing, no import runs in a circle."""
    program = "import os; os.environ['EAGER_IMPORT'] = '1'; import tfopt; print(len(tfopt.__all__))"
    assert run_python(program) == len(tfopt.__all__)


def test_pickling():
    for thing in (tfopt.quantize, tfopt.Distiller, tfopt.QuantConfig(), tfopt.PolynomialDecay):
        again = pickle.loads(pickle.dumps(thing))
        assert again is thing or again == thing


def test_every_registered_class_is_in_the_table():
    for module in pkgutil.walk_packages(tfopt.__path__, "tfopt."):
        if not module.name.startswith(("tfopt.commands", "tfopt.__main__")):
            importlib.import_module(module.name)
    registered = {
        name: thing for name, thing in keras.saving.get_custom_objects().items() if name.startswith("tfopt>")
    }
    listed = {
        f"tfopt>{name}": getattr(importlib.import_module(f"tfopt.{package}"), name)
        for package, names in SERIALIZABLE.items()
        for name in names
    }
    assert registered == listed
    assert not any(isinstance(thing, StandIn) for thing in registered.values())


LOAD = """
import json, sys
{imports}
import numpy as np
model = keras.models.load_model(sys.argv[1])
found = [type(keras.saving.deserialize_keras_object(config)).__name__ for config in json.load(open(sys.argv[2]))]
distiller = keras.models.load_model(sys.argv[3])
np.save(sys.argv[5], keras.models.load_model(sys.argv[4]).predict(np.load(sys.argv[6]), verbose=0))
print(json.dumps([type(model).__name__, found, type(distiller).__name__]))
"""


@pytest.mark.parametrize(
    "imports", ["import keras, tfopt", pytest.param("import tfopt; import keras", marks=pytest.mark.slow)]
)
def test_what_was_saved_loads_and_computes_the_same_in_another_process(imports, tmp_path):
    configs = {
        name: keras.saving.serialize_keras_object(thing) for name, thing in sorted(serializable().items())
    }
    # Files outlive the modules in which their classes were defined.
    configs = json.loads(json.dumps(configs).replace('"module": "tfopt.', '"module": "tfopt.moved_since.'))
    (tmp_path / "configs.json").write_text(json.dumps(list(configs.values())))
    teacher = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    x = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
    student = tfopt.quantize(teacher, calibration=x)
    distiller = tfopt.Distiller(student, teacher, losses=[tfopt.SoftTargets(temperature=2.0)])
    distiller.compile("adam", "mse")
    distiller.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    distiller.save(tmp_path / "distiller.keras")
    student.save(tmp_path / "student.keras")
    old = OLD_FILE if OLD_FILE_LOADS else tmp_path / "student.keras"
    np.save(tmp_path / "x.npy", x)
    made = [
        tmp_path / name for name in ("configs.json", "distiller.keras", "student.keras", "y.npy", "x.npy")
    ]
    loaded = run_python(LOAD.format(imports=imports), old, *made)
    assert loaded == ["QuantizedModel", list(configs), "Distiller"]
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), student.predict(x, verbose=0))
