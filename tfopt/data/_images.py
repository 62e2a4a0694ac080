"""Folders of images, a folder for each class."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from tfopt.data._check_file import check_size, reason
from tfopt.data._samples import Samples, Wanted

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")  # those that Keras reads
_COLORS = {1: "grayscale", 3: "rgb", 4: "rgba"}


def read_images(path: str, wanted: Wanted) -> Samples:
    """Images with the number of their class, in the size that the model takes, as bytes from 0 to 255.

    Classes are numbered in the order of their folders' names, as `keras.utils.image_dataset_from_directory` does. A
    folder of images alone has no labels.

    Args:
        path: the folder.
        wanted: what the model takes: images of a fixed size with 1, 3 or 4 channels.

    Raises:
        ValueError: the model takes no images, there are none, one is damaged, or they take too much memory.
    """
    import keras

    height, width, channels = _image_shape(wanted, path)
    classes = tuple(sorted(entry.name for entry in os.scandir(path) if _holds_images(entry)))
    files = [file for file in Path(path).rglob("*") if file.suffix.lower() in _SUFFIXES]
    if not files:
        raise ValueError(
            f"The folder {path!r} must hold a folder of images for each class: {', '.join(_SUFFIXES)}. Got none."
        )
    check_size(
        len(files) * height * width * channels * 5,  # bytes, and the floats that are made of them
        path,
        f"The '--data' flag must name a folder of images ({len(files):,} of {height} × {width} × {channels})",
    )
    labelled: dict[str, Any] = (
        {"labels": "inferred", "label_mode": "int", "class_names": classes} if classes else {}
    )
    dataset = keras.utils.image_dataset_from_directory(
        path,
        **(labelled or {"labels": None}),
        color_mode=_COLORS[channels],
        image_size=(height, width),
        shuffle=False,
        verbose=False,
    )
    try:
        batches = [batch if classes else (batch, None) for batch in dataset.as_numpy_iterator()]
    except Exception as error:  # why all: what TensorFlow raises for a damaged image is its own
        raise ValueError(f"An image cannot be read: {_damaged(files) or reason(error)}") from error
    x = np.concatenate([np.rint(batch).astype("uint8") for batch, _ in batches])
    y = np.concatenate([labels for _, labels in batches]) if classes else None
    return Samples(x, y, pixels=True, classes=classes)


def _image_shape(wanted: Wanted, path: str) -> tuple[int, int, int]:
    shape = wanted.shape
    if shape is None or len(shape) != 3 or shape[2] not in _COLORS or None in shape:
        got = {name: list(one) for name, one in wanted.shapes.items()} or "no model"
        raise ValueError(
            f"A folder of images goes with a model of one input [height, width, 1, 3 or 4]. Got {got} for {path!r}. "
            "Pass arrays of the right shape in a .npz file."
        )
    return shape  # type: ignore[return-value]


def _holds_images(entry: os.DirEntry) -> bool:
    if not entry.is_dir() or entry.name.startswith("."):
        return False
    return any(file.suffix.lower() in _SUFFIXES for file in Path(entry.path).rglob("*"))


def _damaged(files: list[Path]) -> str:
    """The first of the files that is no image, with the reason; "" if all are."""
    import tensorflow as tf

    for file in sorted(files):
        try:
            tf.io.decode_image(file.read_bytes(), expand_animations=False)
        except Exception:  # why all: as above
            return f"{file} is damaged, or no image."
    return ""
