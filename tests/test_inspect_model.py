"""What is in a Keras model and in a SavedModel."""

import json

import keras
import numpy as np
import pytest

import tfopt
from tfopt._inspect_model import inspect_model, inspect_saved_model

layers = keras.layers


@pytest.fixture(scope="module")
def model():
    """A nested model with a shared layer and a skip."""
    x = inputs = keras.Input((8, 8, 2), name="image")
    body = keras.Sequential(
        [keras.Input((8, 8, 2)), layers.Conv2D(2, 3, padding="same", name="conv")], name="body"
    )
    x = layers.Add(name="add")([body(body(x)), x])
    return keras.Model(inputs, layers.Dense(3, name="head")(layers.Flatten(name="flatten")(x)), name="net")


def test_layers_of_a_model(model):
    kernel = model.get_layer("head").kernel
    kernel.assign(np.where(np.arange(384).reshape(128, 3) % 2, kernel.numpy() + 2.0, 0.0))
    report = inspect_model(model)
    assert [row.path for row in report.layers] == ["body/conv", "body/conv", "add", "flatten", "head"]
    first, again, add, _, head = report.layers
    # A shared layer counts once; zeros are of the kernel.
    assert (first.params, again.params, head.params) == (38, 0, 387) and head.sparsity == 0.5
    assert report.params == model.count_params() and report.bytes == 4 * report.params
    assert add.reads == (*again.writes, *first.reads) and report.outputs == head.writes
    assert report.graph().splitlines() == [
        "●   image",
        "├─● body/conv: Conv2D ?×8×8×2, 38 parameters",
        "│ ● body/conv: Conv2D ?×8×8×2",
        "╰─● add: Add ?×8×8×2",
        "  ● flatten: Flatten ?×128",
        "  ● head: Dense ?×3, 387 parameters →",
    ]
    assert all(len(line) <= 80 for line in str(report).splitlines())
    json.dumps(report.to_dict())


def test_bits_and_steps_of_a_quantized_model(model):
    x = np.random.default_rng(0).normal(size=(8, 8, 8, 2))
    q = tfopt.quantize(model, x, tfopt.QuantConfig(weight_bits=4))
    rows = inspect_model(q).layers
    assert {row.bits for row in rows if row.kind == "FakeQuantize"} == {8}
    assert all(row.scale > 0 for row in rows if row.kind == "FakeQuantize")
    assert [row.bits for row in rows if row.params > 30] == [4, 4]


def test_a_saved_model_is_shown_as_the_file_that_it_makes(tmp_path):
    net = keras.Sequential([keras.Input((4,)), layers.Dense(3, "relu")])
    net.export(tmp_path / "saved", verbose=False)
    report = inspect_saved_model(tmp_path / "saved")
    assert [row.op for row in report.operators] == ["FULLY_CONNECTED+RELU"] and report.path.endswith("saved")
    assert report.graph().splitlines()[-1].endswith("→")
    with pytest.raises(ValueError, match=r"must be that of a SavedModel, with a saved_model.pb"):
        inspect_saved_model(tmp_path)
