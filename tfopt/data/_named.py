"""Data sets by name: of Keras, of TensorFlow Datasets, and what a function of the user's returns."""

import contextlib
import importlib
import os
import re
import sys
from typing import Any

import numpy as np

from tfopt._samples import gather
from tfopt.data._check_file import check_size, reason
from tfopt.data._samples import Samples, Wanted

# Those of keras.datasets whose samples are arrays, and whether they are images.
KERAS_DATASETS = {
    "mnist": True,
    "fashion_mnist": True,
    "cifar10": True,
    "cifar100": True,
    "boston_housing": False,
    "california_housing": False,
}


def read_keras_dataset(name: str, wanted: Wanted) -> Samples:
    """A data set of `keras.datasets`; its test split is held out.

    Args:
        name: its name there.
        wanted: what the model takes.

    Raises:
        ValueError: it cannot be fetched.
    """
    import keras

    try:
        with contextlib.redirect_stdout(sys.stderr):  # where it tells of the download
            (x, y), held_out = getattr(keras.datasets, name).load_data()
    except Exception as error:  # why all: what fails here is the network, in many ways
        raise ValueError(f"The data set {name!r} of Keras cannot be fetched: {reason(error)}") from error
    y, y_held = (labels[:, 0] if labels.shape[1:] == (1,) else labels for labels in (y, held_out[1]))
    return Samples(x, y, pixels=KERAS_DATASETS[name], held_out=(held_out[0], y_held))


def read_tfds(source: str, wanted: Wanted) -> Samples:
    """A data set of TensorFlow Datasets, by `tfds:NAME`; its test or validation split is held out.

    Args:
        source: `tfds:` and its name there.
        wanted: what the model takes: images are resized to that.

    Raises:
        ValueError: TensorFlow Datasets is not installed, or the data set cannot be fetched.
    """
    try:
        tfds = importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise ValueError(
            f"The data {source!r} needs TensorFlow Datasets. Install it with: pip install tensorflow-datasets"
        ) from error
    name = source.removeprefix("tfds:")
    try:
        splits = tfds.load(name, as_supervised=True)
    except Exception as error:  # why all: its builders raise what they like
        raise ValueError(f"The data set {name!r} cannot be fetched: {reason(error)}") from error
    x, y = _arrays(splits["train"], wanted, source)
    other = next((splits[one] for one in ("test", "validation") if one in splits), None)
    held_out = None if other is None else _arrays(other, wanted, source)
    return Samples(x, y, pixels=x.dtype == np.uint8 and x.ndim >= 3, held_out=held_out)


def _arrays(dataset: Any, wanted: Wanted, source: str) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow as tf

    shape = wanted.shape
    xs, ys, size = [], [], 0
    for x, y in dataset.as_numpy_iterator():
        if shape is not None and len(shape) == 3 and x.ndim == 3 and None not in shape[:2]:
            x = np.rint(tf.image.resize(x, shape[:2]).numpy()).astype("uint8")
        size += x.nbytes
        check_size(size, source, "The '--data' flag must name a data set")
        xs.append(x)
        ys.append(y)
    return np.stack(xs), np.stack(ys)


def is_function(source: str) -> bool:
    """Whether a name is that of a function, `package.module:function`.

    >>> is_function("mydata.digits:load"), is_function("digits.npz"), is_function("tfds:mnist")
    (True, False, True)
    """
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", source) is not None


def read_function(source: str, wanted: Wanted) -> Samples:
    """What a function without arguments returns, by `package.module:function`; it is run.

    It returns what `model.fit` takes: arrays, `(x, y)`, or batches of them; or two such pairs, of which the second
    is held out. The module is looked for in the current folder too.

    Args:
        source: the function.
        wanted: how many inputs the model has.

    Raises:
        ValueError: there is no such function.
    """
    module, _, function = source.partition(":")
    path = sys.path.copy()
    sys.path.insert(0, os.getcwd())
    try:
        returned = getattr(importlib.import_module(module), function)()
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"The data {source!r} must be a function, as package.module:function. {error}."
        ) from error
    finally:
        sys.path[:] = path
    return of_python(returned, max(len(wanted.shapes), 1))


def of_python(data: Any, inputs: int = 1) -> Samples:
    """Samples of what Python has: arrays, `(x, y)`, a data set, or `((x, y), (x, y))` with what is held out.

    Args:
        data: as `model.fit` takes it.
        inputs: how many inputs the model has.

    >>> of_python((np.zeros((3, 2)), [0, 1, 0])).y
    array([0, 1, 0])
    """
    is_pairs = isinstance(data, tuple) and len(data) == 2 and all(_is_pair(part) for part in data)
    first, second = data if is_pairs else (data, None)
    x, y = gather(first, inputs, "data")
    pixels = isinstance(x, np.ndarray) and x.dtype == np.uint8 and x.ndim >= 3
    return Samples(x, y, pixels, held_out=None if second is None else gather(second, inputs, "data"))


def _is_pair(part: Any) -> bool:
    return isinstance(part, tuple) and len(part) == 2
