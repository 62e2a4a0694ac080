"""Inputs and outputs are called in the file what the user called them, in the model's order."""

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tests.models import MODELS, samples_for, trained_like
from tfopt.conversion._names import unique
from tfopt.runtimes import TFLiteFile, run

FORMS = ("float", "quantized", "saved and loaded")


def heads() -> keras.Model:
    """Outputs made in all the ways that `quantize` rewrites; the names are not in alphabetical order."""
    image, extra = keras.Input((6, 6, 2), name="image"), keras.Input((3,), name="extra")
    x = layers.Conv2D(3, 3, use_bias=False, name="stem")(image)
    x = layers.GlobalAveragePooling2D()(layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x)))
    x = layers.Concatenate(name="joined")([x, extra])
    logits = layers.Dense(2, name="logits")(x)
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(4), layers.Dense(3)], name="nested")
    outputs = [
        layers.Dense(3, activation="softmax", name="probabilities")(x),
        logits,
        layers.Dense(2, activation="swish", name="angle")(x),
        layers.BatchNormalization(name="normed")(layers.Dense(2)(x)),
        layers.Dropout(0.1, name="dropped")(layers.Dense(2)(x)),
        layers.Activation("gelu", name="act")(layers.Dense(2)(x)),
        layers.MultiHeadAttention(1, 2, name="attention")(*2 * [layers.Reshape((2, 3))(x)]),
        inner(x),
        logits,
    ]
    return keras.Model([image, extra], outputs, name="heads")


NAMES = ["probabilities", "logits", "angle", "normed", "dropped", "act", "attention", "nested", "logits_1"]


def in_form(form: str, model: keras.Model, folder) -> keras.Model:
    if form == "float":
        return model
    quantized = tfopt.quantize(model, samples_for(model, 8))
    if form == "quantized":
        return quantized
    quantized.save(folder / "q.keras")
    return keras.models.load_model(folder / "q.keras")


@pytest.mark.parametrize("form", FORMS)
def test_outputs_have_the_names_of_their_layers(form, tmp_path):
    model = in_form(form, heads(), tmp_path)
    report = tfopt.export(model, tmp_path / "a.tflite")
    file = TFLiteFile.read(tmp_path / "a.tflite")
    assert [tensor.name for tensor in file.inputs] == list(report.input_names) == ["image", "extra"]
    assert [tensor.name for tensor in file.outputs] == list(report.output_names) == NAMES
    verified = tfopt.verify(model, tmp_path / "a.tflite", samples_for(model, 4))
    assert verified.passed
    assert [output.name for output in verified.outputs] == NAMES


def test_runtimes_read_the_names(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    model = heads()
    tfopt.export(model, tmp_path / "a.tflite")
    interpreter = Interpreter(str(tmp_path / "a.tflite"))
    signature = interpreter.get_signature_runner("serving_default")
    samples = [array[:1].astype("float32") for array in samples_for(model, 1)]
    outputs = signature(image=samples[0], extra=samples[1])
    assert sorted(outputs) == sorted(NAMES)
    for name, expected in zip(NAMES, model.predict(samples, verbose=0), strict=True):
        np.testing.assert_allclose(outputs[name], expected, atol=1e-5)
    # By position they are in the model's order too.
    shapes = [tuple(detail["shape"]) for detail in interpreter.get_output_details()]
    assert shapes == [(1, *tensor.shape[1:]) for tensor in model.outputs]


@pytest.mark.parametrize("form", FORMS)
def test_outputs_of_a_dict_have_its_keys(form, tmp_path):
    inputs = {name: keras.Input((3,), name=name) for name in ("zebra", "ant")}
    sums, differences = layers.Add()(list(inputs.values())), layers.Subtract()(list(inputs.values()))
    outputs = {
        "sum": layers.Dense(2, name="one")(sums),
        "difference": layers.Dense(2, name="two")(differences),
    }
    model = keras.Model(inputs, outputs)
    x = {name: np.random.default_rng(len(name)).normal(size=(8, 3)).astype("float32") for name in inputs}
    if form != "float":
        model = tfopt.quantize(model, x)
    if form == "saved and loaded":
        model.save(tmp_path / "q.keras")
        model = keras.models.load_model(tmp_path / "q.keras")
    report = tfopt.export(model, tmp_path / "a.tflite")
    assert (report.input_names, report.output_names) == (("ant", "zebra"), ("difference", "sum"))
    in_another_order = dict(reversed(x.items()))
    verified = tfopt.verify(model, tmp_path / "a.tflite", in_another_order)
    assert verified.passed and [output.name for output in verified.outputs] == ["difference", "sum"]
    models = {"keras": model, "file": tmp_path / "a.tflite"}
    of_one = lambda y, outputs: float(np.mean(outputs["difference"]))  # noqa: E731
    rows = tfopt.compare(models, in_another_order, np.zeros(8), of_one, latency_runs=1).rows
    assert rows[0].metric == pytest.approx(rows[1].metric, abs=1e-5)
    values = run(tmp_path / "a.tflite", x).values
    expected = model.predict(x, verbose=0)
    assert values.keys() == expected.keys()
    for name, array in values.items():
        np.testing.assert_allclose(array, expected[name], atol=1e-5)


def test_a_subclassed_model_has_names_too(tmp_path):
    model = MODELS["subclassed"]()
    report = tfopt.export(model, tmp_path / "a.tflite")
    assert len(report.output_names) == 1 and "output_" not in report.output_names[0]


def test_compare_gives_outputs_as_the_keras_model_does(tmp_path):
    model = heads()
    x = samples_for(model, 4)
    tfopt.export(model, tmp_path / "a.tflite")
    second = lambda y, outputs: float(np.mean(outputs[1]))  # noqa: E731
    first, other = tfopt.compare(
        {"keras": model, "file": tmp_path / "a.tflite"}, x, np.zeros(4), second, latency_runs=1
    ).rows
    assert first.metric == pytest.approx(other.metric, abs=1e-5)
    by_name = lambda y, outputs: float(np.mean(outputs["logits"]))  # noqa: E731
    (alone,) = tfopt.compare({"file": tmp_path / "a.tflite"}, x, np.zeros(4), by_name, latency_runs=1).rows
    assert alone.metric == pytest.approx(first.metric, abs=1e-5)


def test_numbers_make_names_unique():
    assert unique(["a", "a", "a_1", "a"]) == ("a", "a_2", "a_1", "a_3")


def stacked():
    """Layers with Keras' own names, of which some look like others with a number."""
    x = inputs = keras.Input((8, 8, 3))
    for number, name in enumerate(("conv", "conv_1"), 1):
        x = layers.Conv2D(4, 3, use_bias=False, name=name)(x)
        x = layers.ReLU(name=f"relu_{number}")(layers.BatchNormalization(name=f"norm_{number}")(x))
    inner = keras.Input((4,))
    block = keras.Model(inner, layers.Dense(4, "relu", name="dense")(inner), name="block")
    x = layers.Dense(5, "relu", name="hidden")(block(layers.GlobalAveragePooling2D(name="pool")(x)))
    return keras.Model(inputs, layers.Dense(2, name="logits")(x), name="net")


@pytest.mark.parametrize("form", ["float32", "int8"])
def test_inner_tensors_are_named_after_layers_once(form, tmp_path):
    model = trained_like(stacked())
    model = tfopt.quantize(model, samples_for(model)) if form == "int8" else model
    tfopt.export(model, tmp_path / "model.tflite")
    file = TFLiteFile.read(tmp_path / "model.tflite")
    found = {kernel.name.split("/")[-2] for kernel in file.kernels}
    assert found == {"conv", "conv_1", "dense", "hidden", "logits"}
    tensors = {
        tensor.index: tensor.name for op in file.operators for tensor in (*op.inputs, *op.outputs) if tensor
    }
    assert len(set(tensors.values())) == len(tensors)
    inner = tensors.keys() - {tensor.index for tensor in file.outputs}
    assert not any(";" in tensors[index] or tensors[index].startswith("net") for index in inner)
