"""TFRecord files of `tf.train.Example`."""

import glob
import math
import re
from typing import Any

import numpy as np

from tfopt.data._check_file import check_file, check_size, reason
from tfopt.data._samples import Samples, Wanted

_INPUTS = ("x", "image", "image/encoded", "image_raw", "inputs", "features")
_LABELS = ("y", "label", "image/class/label", "labels", "target", "class")
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM")


def is_tfrecord(source: str) -> bool:
    """Whether a name is that of TFRecord files; it may hold `*`.

    >>> is_tfrecord("train.tfrecord-00000-of-00010"), is_tfrecord("train*.tfrecords"), is_tfrecord("a.csv")
    (True, True, False)
    """
    return re.search(r"\.tfrecords?(\.gz|-[\d*]+-of-[\d*]+|\*)?$", source, re.I) is not None


def read_tfrecord(source: str, wanted: Wanted) -> Samples:
    """Inputs and labels from features of examples: images (JPEG, PNG, GIF, BMP), raw bytes, or numbers.

    Args:
        source: the file, or several with `*`.
        wanted: the names of the features, else the usual ones; and the shape that bytes and images take.

    Raises:
        ValueError: there is no such file, it is damaged, or has no such features.
    """
    import tensorflow as tf

    paths = sorted(glob.glob(source)) if "*" in source else [source]
    if not paths:
        raise ValueError(f"The '--data' flag must name TFRecord files. There is none named {source!r}.")
    for path in paths:
        check_file(path, "The '--data' flag", "a TFRecord file")
    xs: list[Any] = []
    ys: list[Any] = []
    size = 0
    pixels = False
    try:
        records = tf.data.TFRecordDataset(paths, "GZIP" if paths[0].lower().endswith(".gz") else None)
        for number, record in enumerate(records.as_numpy_iterator()):
            features = tf.train.Example.FromString(record).features.feature
            feature = _feature(features, wanted.inputs, _INPUTS, "inputs", source)
            value, pixels = _value(feature, wanted.shape, f"record {number} of {source!r}")
            size += value.nbytes
            check_size(size, source, "The '--data' flag must name TFRecord files")
            xs.append(value)
            label = _feature(features, wanted.labels, _LABELS, "labels", source, needed=bool(wanted.labels))
            ys.append(None if label is None else _numbers(label))
    except ValueError:
        raise
    except Exception as error:  # why all: TensorFlow's and protobuf's own kinds
        raise ValueError(f"The TFRecord {source!r} cannot be read: {reason(error)}") from error
    if not xs:
        raise ValueError(f"The TFRecord {source!r} must hold an example for each sample. Got none.")
    return Samples(_stack(xs, source), None if None in ys[:1] else _labels(ys, source), pixels=pixels)


def _feature(
    features: Any, given: str | None, usual: tuple[str, ...], what: str, source: str, needed: bool = True
) -> Any:
    name = given if given is not None else next((name for name in usual if name in features), None)
    if name is not None and name in features:
        return features[name]
    if not needed or (given is None and what == "labels"):
        return None
    raise ValueError(
        f"The examples of {source!r} must have a feature for the {what}, such as {given or usual[1]!r}. Got "
        f"{', '.join(sorted(features)) or 'none'}. Name it with --set data.{what}=NAME."
    )


def _value(feature: Any, shape: tuple[int | None, ...] | None, where: str) -> tuple[np.ndarray, bool]:
    """A sample, and whether it is bytes of an image."""
    if feature.WhichOneof("kind") != "bytes_list":
        return _numbers(feature), False
    content = feature.bytes_list.value[0] if feature.bytes_list.value else b""
    if content.startswith(_IMAGES):
        return _decoded(content, shape, where), True
    if shape is None or None in shape:
        raise ValueError(f"Raw bytes take a model with one input of a fixed shape. Got {where}.")
    count = math.prod(shape)  # type: ignore[arg-type]
    for dtype in (np.uint8, np.float32):
        if len(content) == count * np.dtype(dtype).itemsize:
            return np.frombuffer(content, dtype).reshape(shape), dtype is np.uint8 and len(shape) == 3  # type: ignore[arg-type]
    raise ValueError(
        f"Raw bytes must be {count} bytes or float32 numbers, as the model takes. Got {len(content)} bytes in {where}."
    )


def _decoded(content: bytes, shape: tuple[int | None, ...] | None, where: str) -> np.ndarray:
    import tensorflow as tf

    channels = (shape[2] or 0) if shape is not None and len(shape) == 3 else 0
    try:
        image = tf.io.decode_image(content, channels=channels, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"An image cannot be read in {where}.") from error
    if shape is not None and len(shape) == 3 and None not in shape[:2] and image.shape[:2] != shape[:2]:
        image = tf.image.resize(image, shape[:2])
    return np.rint(image.numpy()).astype("uint8")


def _numbers(feature: Any) -> np.ndarray:
    kind = feature.WhichOneof("kind")
    if kind == "float_list":
        return np.array(feature.float_list.value, "float32")
    return np.array(feature.int64_list.value if kind == "int64_list" else (), "int64")


def _stack(values: list[np.ndarray], source: str) -> np.ndarray:
    shapes = {value.shape for value in values}
    if len(shapes) > 1 or 0 in values[0].shape:
        raise ValueError(
            f"The examples of {source!r} must hold as many numbers each. Got shapes {sorted(shapes)[:3]}."
        )
    return np.stack(values)


def _labels(values: list[np.ndarray], source: str) -> np.ndarray:
    y = _stack(values, source)
    return y[:, 0] if y.shape[1:] == (1,) else y
