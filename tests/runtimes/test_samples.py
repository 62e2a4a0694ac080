from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt._samples import count, gather
from tfopt.runtimes import Tensor
from tfopt.runtimes._inputs import by_input

X = np.arange(12.0).reshape(6, 2)
Y = np.arange(6)


class Batches(keras.utils.PyDataset):
    """Three batches of two samples, with labels."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return X[2 * index : 2 * index + 2], Y[2 * index : 2 * index + 2]


class Endless(keras.utils.PyDataset):
    @property
    def num_batches(self) -> None:
        return None


def dataset(*arrays: np.ndarray) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(arrays if len(arrays) > 1 else arrays[0])


@pytest.mark.parametrize(
    ("make", "labelled"),
    [
        (lambda: X, False),
        (lambda: X.tolist(), False),
        (lambda: list(X), False),
        (lambda: tf.constant(X), False),
        (lambda: (X,), False),
        (lambda: (X, Y), True),
        (lambda: (X, Y, np.ones(6)), True),
        (lambda: dataset(X).batch(4), False),
        (lambda: dataset(X, Y).batch(4), True),
        (Batches, True),
        (lambda: (X[i : i + 2] for i in range(0, 6, 2)), False),
        (lambda: ((X[i : i + 3], Y[i : i + 3]) for i in range(0, 6, 3)), True),
    ],
    ids=[
        "array",
        "list",
        "rows",
        "tensor",
        "tuple1",
        "tuple2",
        "tuple3",
        "dataset",
        "pairs",
        "pydataset",
        "generator",
        "pair-generator",
    ],
)
def test_every_form_gives_the_same_array(make: Callable, labelled: bool) -> None:
    x, y = gather(make())
    assert np.array_equal(x, X)
    assert np.array_equal(y, Y) if labelled else y is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: [X, -X],
        lambda: (X, -X),
        lambda: ((X, -X), Y),
        lambda: ([X, -X], Y),
        lambda: tf.data.Dataset.from_tensor_slices(((X, -X), Y)).batch(4),
    ],
    ids=["list", "tuple", "tuples", "list and labels", "dataset"],
)
def test_two_inputs(make: Callable) -> None:
    x, _ = gather(make(), inputs=2)
    assert count(x) == 6
    assert all(np.array_equal(a, b) for a, b in zip(x, [X, -X], strict=True))


def test_a_dict_keeps_its_names() -> None:
    x, y = gather(tf.data.Dataset.from_tensor_slices(({"a": X, "b": -X}, Y)).batch(4), inputs=2)
    assert np.array_equal(x["b"], -X)
    assert np.array_equal(y, Y)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.empty((0, 2)), "'samples' argument must hold at least one sample. Got none"),
        ([], "must hold at least one sample"),
        ((), "must hold at least one sample"),
        (3.0, "must hold at least one sample"),
        (iter([]), "must hold at least one sample"),
        (
            np.array([[1.0, np.nan], [np.inf, 0.0]]),
            "must hold finite numbers. Got 2 NaN or infinite of 4 values",
        ),
        (np.array([["a"]]), "must hold numbers. Got dtype <U1"),
        ({"a": X, "b": X[:3]}, r"as many samples for every input. Got \[6, 3\]"),
        (dataset(X).repeat(), r"must come to an end. .* Pass `dataset.take\(n\)`"),
        (Endless(), "must come to an end. Got Endless without end"),
    ],
    ids=[
        "no-rows",
        "empty-list",
        "empty-tuple",
        "scalar",
        "no-batches",
        "nan",
        "text",
        "lengths",
        "endless-dataset",
        "endless-pydataset",
    ],
)
def test_bad_samples_are_refused(samples: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gather(samples)


IMAGE, MASK = Tensor(0, "image", (1, 2), "int8"), Tensor(1, "mask", (1, 3), "int8")
OPEN = Tensor(0, "text", (1, 1, 2), "int8", open_dims=(0, 1))


@pytest.mark.parametrize(
    ("x", "order"),
    [
        ({"mask": np.ones((5, 3)), "image": np.ones((5, 2))}, ()),
        ([np.ones((5, 2)), np.ones((5, 3))], ()),
        ([np.ones((5, 3)), np.ones((5, 2))], ("mask", "image")),
        ([np.ones((5, 2)), np.ones((5, 3))], ("other", "names")),
    ],
    ids=["names", "the file's order", "the model's order", "unknown names"],
)
def test_arrays_find_their_inputs(x: Any, order: tuple) -> None:
    assert [array.shape for array in by_input(x, [IMAGE, MASK], order)] == [(5, 2), (5, 3)]


def test_one_input_needs_no_name_and_an_open_dimension_takes_any_size() -> None:
    assert by_input({"other": X}, [IMAGE])[0] is X
    assert by_input(np.ones((5, 7, 2)), [OPEN])[0].shape == (5, 7, 2)


@pytest.mark.parametrize(
    ("x", "tensors", "message"),
    [
        (np.ones((5, 3)), [IMAGE], r"the shape \(n, 2\) for the input 'image'. Got \(5, 3\) instead"),
        (np.ones(2), [IMAGE], r"the shape \(n, 2\) for the input 'image'. Got \(2,\) instead"),
        (np.ones((5, 7, 3)), [OPEN], r"the shape \(n, any, 2\) for the input 'text'"),
        ([X], [IMAGE, MASK], r"must hold 2 arrays, for the inputs \['image', 'mask'\] of the file. Got 1"),
        (
            {"image": X, "b": X},
            [IMAGE, MASK],
            r"must have the keys \['image', 'mask'\].* Got the keys \['b', 'image'\]",
        ),
    ],
    ids=["shape", "no batch", "open", "number", "names"],
)
def test_what_does_not_fit_the_file_is_refused(x: Any, tensors: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        by_input(x, tensors)
