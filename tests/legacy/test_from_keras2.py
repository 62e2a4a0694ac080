"""Keras 2 models become Keras 3 models; in processes of their own, for tf_keras and tfmot change theirs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import pytest

from tests.legacy.application_rows import APPLICATIONS
from tests.legacy.function_rows import FUNCTIONS, NODES
from tests.legacy.layer_rows import LAYERS, MERGES, REFUSED, SEQUENTIAL, TYPES
from tfopt.legacy import from_keras2

ROOT = Path(__file__).parents[2]
ROWS = [
    *(*LAYERS, *TYPES, *MERGES, *FUNCTIONS),
    *(f"{name} in Sequential" for name in SEQUENTIAL),
    *(f"{name} of a graph" for name in NODES),
]


def run(*arguments: str, legacy: str = "1") -> Any:
    """What a program prints as JSON in its last line."""
    # Without the variable, tf_keras' SpectralNormalization takes a part of Keras 3 for its own.
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": legacy}
    command = [sys.executable, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def converted() -> dict[str, Any]:
    return run("-m", "tests.legacy.convert_rows")


@pytest.mark.slow
def test_every_stock_layer_has_a_row(converted):
    assert converted["missing"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_a_row_computes_the_same(converted, name):
    assert not isinstance(converted[name], str), converted[name]
    assert converted[name] <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart_is_named(converted, name):
    assert REFUSED[name][1] in str(converted[f"refused {name}"])


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_network_of_tf_keras_applications(name):
    difference = run("-m", "tests.legacy.application_rows", name)[name]
    assert not isinstance(difference, str), difference
    assert difference <= 1e-7  # constants of a float64 network are float32 here and there


FILES = """
import json, sys, warnings; warnings.simplefilter("ignore")
from pathlib import Path
import keras, numpy as np, tf_keras
from tfopt.legacy import from_keras2
folder, found = Path(sys.argv[1]), {}
L = tf_keras.layers
inputs = tf_keras.Input((6, 4), name="sequence")
x = L.Dense(3, name="block/dense")(L.GRU(3)(inputs)) + 1.0
model = tf_keras.Model(inputs, L.Dense(2)(x))
model.compile("adam", "mse")
x = np.random.default_rng(0).normal(size=(8, 6, 4)).astype("float32")
for name in ("model.h5", "model.keras", "saved_model"):
    model.save(folder / name)
    new = from_keras2(str(folder / name))
    found[name] = float(np.abs(new.predict(x, verbose=0) - model.predict(x, verbose=0)).max())
found["layers"] = [layer.name for layer in new.layers]
new.save(folder / "again.keras")
again = keras.models.load_model(folder / "again.keras")
found["again"] = float(np.abs(again.predict(x, verbose=0) - new.predict(x, verbose=0)).max())
old = tf_keras.Sequential([tf_keras.Input((5, 4)), L.LSTM(3, recurrent_activation="hard_sigmoid")])
from_keras2(old).save(folder / "hard.keras")
found["hard"] = keras.models.load_model(folder / "hard.keras").layers[0].recurrent_activation.__name__
model.trainable = False
frozen = from_keras2(tf_keras.Sequential([model, L.Dense(1)]))
found["trainable"] = [weight.path for weight in frozen.trainable_weights]
class Subclassed(tf_keras.Model):
    def call(self, x): return x
class Own(L.Layer): pass
model.save_weights(folder / "weights.h5")
(folder / "text.h5").write_text("no model")
keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(folder / "new.keras")
for name, argument in {
    "subclassed": Subclassed(), "not built": tf_keras.Sequential([L.Dense(2)]), "weights": folder / "weights.h5",
    "text": folder / "text.h5", "Keras 3": folder / "new.keras", "own layer":
    tf_keras.Sequential([tf_keras.Input((3,)), Own(name="own")]),
    "lambda": tf_keras.Sequential([tf_keras.Input((3,)), L.Dense(2, lambda x: x)]),
}.items():
    try:
        from_keras2(argument)
    except ValueError as error:
        found[name] = str(error)
print(json.dumps(found))
"""


def test_files_and_what_is_none(tmp_path):
    found = run("-c", FILES, str(tmp_path))
    assert [found[name] <= 1e-5 for name in ("model.h5", "model.keras", "saved_model", "again")] == [True] * 4
    assert "block_dense" in found["layers"]
    assert len(found["trainable"]) == 2, "the Dense layer behind the frozen model"
    assert found["hard"] == "keras2_hard_sigmoid"
    assert "has no graph of layers" in found["subclassed"]
    assert "call it on data first" in found["not built"]
    assert "not only its weights" in found["weights"]
    assert "is not a Keras file" in found["text"]
    assert "keras.models.load_model; it needs no conversion" in found["Keras 3"]
    assert "has no layer for 'own'" in found["own layer"]
    assert "holds a lambda as its 'activation'" in found["lambda"]


def test_a_model_of_keras_3_needs_no_conversion():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(TypeError, match="a Keras 3 model, and needs no conversion"):
        from_keras2(model)


def test_importing_legacy_imports_no_keras_2():
    code = "import json, sys, tfopt.legacy; print(json.dumps(sorted(sys.modules)))"
    modules = run("-c", code, legacy="0")
    assert not {"tf_keras", "tensorflow_model_optimization"} & set(modules)


@pytest.mark.slow
def test_models_that_tfmot_has_wrapped(tmp_path):
    found = run("-m", "tests.legacy.tfmot_rows", str(tmp_path))
    assert found["pruned"]["model"] <= 1e-5
    assert found["pruned"]["file"] <= 1e-5
    assert found["pruned"]["model zeros"] == found["pruned"]["file zeros"] == [0.5, 0.5, 0.5]
    assert found["clustered"]["model"] <= 1e-5
    assert found["clustered"]["values"] <= 4
    for name in ("quantized", "quantized, deep"):
        assert found[name]["files"] == [0.0, 0.0]
        assert found[name]["ranges in a file"]
        assert found[name]["changed"] == found[name]["quantizers"]
        assert not [layer for layer in found[name]["layers"] if "quant" in layer]
    # In steps of the output. tfmot rounds weights before it folds batch norms, TFLite after; noise adds up with depth.
    # A calibration of our own comes within one step in 93 % or more: no largest difference tells it from tfmot's.
    assert found["quantized"]["within 1"] >= 0.98
    assert found["quantized"]["mean"] <= min(0.3, 0.5 * found["quantized"]["calibrated"]["mean"])
    assert found["quantized, deep"]["mean"] <= 2.0
    assert found["quantized, deep"]["largest"] <= 0.5 * found["quantized, deep"]["calibrated"]["largest"]


def test_files_of_mlperf_tiny():
    folder = os.environ.get("TFOPT_TEST_DATA")
    files = [path for name in ("pretrainedResnet.h5", "ad01.h5") for path in Path(folder or "").rglob(name)]
    if folder is None or not files:
        pytest.skip("TFOPT_TEST_DATA names no folder with MLPerf Tiny's networks")
    code = "import json, sys, tfopt.legacy as l; print(json.dumps([l.from_keras2(p).name for p in sys.argv[1:]]))"
    assert len(run("-c", code, *map(str, files))) == len(files)
