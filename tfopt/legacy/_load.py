"""Keras 2 models from files."""

import contextlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfopt.legacy._keras2 import WRAPPERS, tf_keras


def load_keras2(path: str | Path) -> Any:
    """The Keras 2 model in a file: `.h5`, `.keras` of Keras 2, or a folder with a SavedModel.

    Args:
        path: the path of the file or folder.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it is a file of Keras 3, or Keras 2 cannot read it.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"The 'model' argument must be a model or the path of one. Nothing is at: {path}"
        )
    try:
        version = _version(path)
    except (OSError, KeyError) as error:
        raise ValueError(
            f"The file {path} is not a Keras file: {error}. Expected .h5 or .keras, or the folder of a SavedModel."
        ) from error
    if version.startswith("3."):
        raise ValueError(
            f"The file {path} was saved by Keras {version}. Expected one of Keras 2. Load it with "
            "keras.models.load_model; it needs no conversion."
        )
    try:
        with _tfmot_scope(path):
            model = tf_keras().models.load_model(path, compile=False)
    except ImportError:
        raise
    except Exception as error:
        raise ValueError(
            f"Keras 2 cannot read the model in {path}: {error} Expected a whole model (.h5, .keras or SavedModel of "
            "Keras 2), not only its weights. If it has custom objects, load it with tf_keras.models.load_model and "
            "'custom_objects', and pass the model."
        ) from error
    if not hasattr(model, "layers"):
        raise ValueError(
            f"The SavedModel in {path} holds functions and no Keras layers. Expected one that Keras 2 saved with "
            "model.save; only its layers can be read."
        )
    return model


def _version(path: Path) -> str:
    """The version of Keras that wrote a file; "" if the file does not say."""
    if path.is_dir():
        return ""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return str(json.loads(archive.read("metadata.json")).get("keras_version", ""))
    import h5py  # a dependency of Keras

    with h5py.File(path) as file:
        return str(file.attrs.get("keras_version", ""))


def _config(path: Path) -> str:
    """The text that names the classes in a file."""
    if path.is_dir():
        metadata = path / "keras_metadata.pb"
        return metadata.read_bytes().decode("utf-8", "ignore") if metadata.exists() else ""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return archive.read("config.json").decode()
    import h5py

    with h5py.File(path) as file:
        return str(file.attrs.get("model_config", ""))


@contextlib.contextmanager
def _tfmot_scope(path: Path) -> Iterator[None]:
    """Registers tfmot's classes with Keras 2, only if a file has some: importing tfmot changes the environment."""
    config = _config(path)
    if not any(name in config for name in (*WRAPPERS, "QuantizeLayer")):
        yield
        return
    import tensorflow_model_optimization as tfmot

    scopes = (
        tfmot.sparsity.keras.prune_scope,
        tfmot.clustering.keras.cluster_scope,
        tfmot.quantization.keras.quantize_scope,
    )
    with contextlib.ExitStack() as stack:
        for scope in scopes:
            stack.enter_context(scope())
        yield
