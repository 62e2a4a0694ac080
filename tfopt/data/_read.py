"""The table of readers: where samples come from."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras import tree

from tfopt._samples import count
from tfopt.data._arrays import read_arrays
from tfopt.data._csv import is_table, read_csv
from tfopt.data._images import read_images
from tfopt.data._named import (
    KERAS_DATASETS,
    is_function,
    of_python,
    read_function,
    read_keras_dataset,
    read_tfds,
)
from tfopt.data._samples import Samples, Wanted, fitted
from tfopt.data._tfrecord import is_tfrecord, read_tfrecord

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Reader:
    """A row of the table.

    Attributes:
        form: what a source of this kind looks like.
        takes: whether a source is of this kind.
        read: reads it.
    """

    form: str
    takes: Callable[[str], bool]
    read: Callable[[str, Wanted], Samples]


# The first that takes a source reads it.
READERS: tuple[Reader, ...] = (
    Reader("a folder of images", lambda source: Path(source).is_dir(), read_images),
    Reader("a .npz or .npy file", lambda source: source.lower().endswith((".npz", ".npy")), read_arrays),
    Reader("a .csv or .tsv file", is_table, read_csv),
    Reader("TFRecord files", is_tfrecord, read_tfrecord),
    Reader("a name of keras.datasets, such as mnist", KERAS_DATASETS.__contains__, read_keras_dataset),
    Reader("tfds:NAME", lambda source: source.startswith("tfds:"), read_tfds),
    Reader("package.module:function", is_function, read_function),
)


def read(
    source: Any, model: "keras.Model | None" = None, *, inputs: str | None = None, labels: str | None = None
) -> Samples:
    """Samples from a source, in the shape that a model takes.

    Args:
        source: text: a file, a folder or a name, by the table `READERS`; or what `model.fit` takes: arrays, `(x, y)`,
            a data set, or `((x, y), (x, y))`, of which the second is held out.
        model: the model that they are for; None to take them as they are.
        inputs: name of the array, column or feature of the inputs, where it is not the usual one.
        labels: the same of the labels.

    Returns:
        `Samples`; bytes of images are left as they are.

    Raises:
        ValueError: there is no such source, it is damaged or too large, or does not fit the model.

    Example:

    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
    >>> read((np.zeros((3, 4)), [0, 1, 0]), model).x.shape
    (3, 2, 2, 1)
    """
    wanted = Wanted.of(model, inputs, labels)
    if not isinstance(source, (str, Path)):
        return _checked(fitted(of_python(source, max(len(wanted.shapes), 1)), wanted, "data"), "data")
    source = str(source)
    reader = next((row for row in READERS if row.takes(source)), None)
    if reader is None:
        forms = "; ".join(row.form for row in READERS)
        raise ValueError(f"The data must be one of: {forms}. Got {source!r}, which is none of these.")
    return _checked(fitted(reader.read(source, wanted), wanted, source), source)


def _checked(samples: Samples, source: str) -> Samples:
    """The samples, if there is a label for each, and it is a number."""
    for x, y in ((samples.x, samples.y), samples.held_out or (samples.x, None)):
        if y is not None and count(y) != count(x):
            raise ValueError(
                f"The data must hold a label for each sample. Got {count(y):,} labels for {count(x):,} in {source!r}."
            )
        kinds = {array.dtype.kind for array in (*tree.flatten(x), *tree.flatten(y)) if array is not None}
        if not kinds <= set("biuf"):
            raise ValueError(
                f"The data must hold numbers. Got others in {source!r}. Number the classes from 0."
            )
    return samples
