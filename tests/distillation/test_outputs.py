"""Losses for single outputs of models that classify and regress at once."""

import keras
import numpy as np
import pytest
from keras import layers

import tfopt.distillation as td
from tests.distillation.references import bounded, reference


def detector(units, kind):
    """A class and a box, as a dict or as a list."""
    inputs = keras.Input((8, 8, 1))
    x = layers.Dense(units, "relu")(layers.Flatten()(inputs))
    heads = {"kind": layers.Dense(3, "softmax", name="kind")(x), "box": layers.Dense(4, name="box")(x)}
    return keras.Model(inputs, heads if kind == "dict" else list(heads.values()))


@pytest.mark.parametrize("kind", ["dict", "list"])
@pytest.mark.parametrize("weighted", [False, True])
def test_each_output_has_its_own_losses(blobs, tmp_path, kind, weighted):
    x = blobs[0][:32]
    rng = np.random.default_rng(0)
    y = {"kind": blobs[1][:32] % 3, "box": rng.normal(size=(32, 4)).astype("float32")}
    weights = {name: rng.uniform(size=32) for name in y}
    losses = {"kind": [td.SoftTargets(2.0), td.LogitMSE(weight=0.5)], "box": td.BoundedRegression(weight=0.1)}
    supervised = {"kind": "sparse_categorical_crossentropy", "box": "mse"}
    if kind == "list":
        losses = dict(enumerate(losses.values()))
        supervised = list(supervised.values())
    student, teacher = detector(6, kind), detector(16, kind)
    distiller = td.Distiller(student, teacher, losses)
    distiller.compile(keras.optimizers.SGD(0.0), supervised, run_eagerly=True)

    def given(parts):
        return parts if kind == "dict" else list(parts.values())

    logs = distiller.train_on_batch(x, given(y), given(weights) if weighted else None, return_dict=True)

    def outputs(model):
        found = model(x)
        return {name: np.array(found[name if kind == "dict" else i]) for i, name in enumerate(y)}

    s, t = outputs(student), outputs(teacher)
    w = weights if weighted else {name: 1.0 for name in y}
    log_t, log_s = np.log(t["kind"]), np.log(s["kind"])
    difference = (log_t - log_s) - (log_t - log_s).mean(-1, keepdims=True)
    expected = (
        (reference(log_t, log_s, 2.0) * w["kind"]).mean()
        + 0.5 * ((difference**2).mean(-1) * w["kind"]).mean()
        + 0.1 * (bounded(t["box"], s["box"], y["box"]) * w["box"]).mean()
    )
    np.testing.assert_allclose(logs["distillation_loss"], expected, rtol=1e-4)

    distiller.save(tmp_path / "d.keras")
    loaded = keras.models.load_model(tmp_path / "d.keras")
    again = loaded.train_on_batch(x, given(y), given(weights) if weighted else None, return_dict=True)
    np.testing.assert_allclose(again["distillation_loss"], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("losses", "error", "message"),
    [
        (
            {"kin": td.SoftTargets()},
            ValueError,
            r"'losses' .* output 'kin', which the teacher .* \['kind', 'box'\]",
        ),
        ({"kind": "mse"}, TypeError, r"'losses' argument .* or a dict of them by output. Got \['mse'\]"),
        ({}, ValueError, r"'losses' argument .* at least one"),
    ],
)
def test_bad_dicts(losses, error, message):
    with pytest.raises(error, match=message):
        td.Distiller(detector(6, "dict"), detector(6, "dict"), losses)


def test_shapes_of_one_output_are_compared_at_construction():
    with pytest.raises(
        ValueError, match=r"SoftTargets compares .* \(None, 3\) from the teacher and \(None, 4\)"
    ):
        td.Distiller(
            keras.Model((one := detector(6, "dict")).inputs, {"kind": one.output["box"]}),
            detector(6, "dict"),
            {"kind": td.SoftTargets()},
        )
