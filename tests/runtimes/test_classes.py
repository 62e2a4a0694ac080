"""Which classes models say, and how the values of their kernels are distributed."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfopt.runtimes import Tensor, TFLiteFile, inspect
from tfopt.runtimes._classes import compare_classes, said_classes
from tfopt.runtimes._kernel_values import kernel_values

SCORES = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
# What a model returns and the metric -> the classes that it says.
SAID = {
    "columns": (SCORES, "accuracy", [0, 1, 1]),
    "metric": (SCORES, keras.metrics.SparseCategoricalAccuracy(), [0, 1, 1]),
    "one column": (SCORES[:, 1:], "acc", [0, 1, 1]),
    "logits of one column": (SCORES[:, 1:] - 0.7, keras.metrics.BinaryAccuracy(threshold=0.0), [0, 1, 0]),
    "an error": (SCORES, "mse", None),
    "another metric": (SCORES, keras.metrics.MeanSquaredError(), None),
    "several outputs": ([SCORES, SCORES], "accuracy", None),
    "a class for each pixel": (SCORES[None], "accuracy", None),
}
# Labels -> the classes that they are.
LABELS = {
    "numbers": (np.array([0, 1, 0]), [0, 1, 0]),
    "a column": (np.array([[0], [1], [0]]), [0, 1, 0]),
    "whole floats": (np.array([0.0, 1.0, 0.0]), [0, 1, 0]),
    "one-hot": (np.eye(2)[[0, 1, 0]], [0, 1, 0]),
    "no classes": (np.array([0.5, 1.0, 0.0]), None),
    "pixels": (np.zeros((3, 2, 2)), None),
}


@pytest.mark.parametrize("name", SAID)
def test_what_a_model_says(name):
    predictions, metric, expected = SAID[name]
    said = said_classes(predictions, metric)
    assert expected == (None if said is None else said.tolist())


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_every_form(name):
    labels, classes = LABELS[name]
    report = compare_classes(labels, {"a": np.array([0, 1, 1])}, 2)
    assert (report is None) == (classes is None)
    if report is not None:
        assert report.models[0].confusion == ((0, 0, 1), (0, 1, 1), (1, 1, 1))
        assert report.models[0].right == 2 and report.changed == ()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=30))
def test_all_samples_are_counted(samples):
    y, first, last = (np.array(column) for column in zip(*samples, strict=True))
    report = compare_classes(y, {"a": first, "b": last}, 5)
    assert all(sum(cell[2] for cell in model.confusion) == len(y) for model in report.models)
    assert report.models[1].right == sum(n for label, said, n in report.models[1].confusion if label == said)
    assert [one.index for one in report.changed] == np.flatnonzero(first != last).tolist()
    assert (str(report) and f"{len(report.changed):,} of" in report.sentence()) or not report.changed


VALUES = {
    "int8": (np.arange(-128, 128, dtype="int8"), 32),
    "int4": (np.array([-8, 7], "int8"), 16),
    "int2": (np.array([-2, 1], "int8"), 4),
    "uint8": (np.array([0, 255], "uint8"), 32),
    "float32": (np.array([-1.0, 0.0, 3.0], "float32"), 32),
    "float16": (np.array([2.0, 2.0], "float16"), 32),
}


@pytest.mark.parametrize("dtype", VALUES)
def test_every_value_is_in_a_bin(dtype):
    values, bins = VALUES[dtype]
    made = kernel_values(Tensor(0, "k", values.shape, dtype, (0.1,), (0,), 0, values, values.nbytes))
    assert len(made.counts) == bins and sum(made.counts) == values.size
    assert made.low <= values.min() and values.max() <= made.high
    assert made.codes == dtype.startswith(("int", "uint"))


def test_inspect_has_the_kernels_and_what_reads_what(tmp_path):
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    y = keras.layers.Dense(3)(keras.layers.Dense(8, activation="relu")(x))
    path = tmp_path / "m.tflite"
    keras.Model(x, y).export(path, format="litert", verbose=False)
    report = inspect(path)
    assert [sum(kernel.counts) for kernel in report.kernels] == [32, 24]
    first, second = report.operators
    assert (
        second.reads == first.writes
        and report.outputs == second.writes
        and first.kernels == (TFLiteFile.read(path).kernels[0].name,)
    )
