"""What commands read from the command line besides flags."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

# What unpacks to more than this is refused: a small file can ask for any amount of memory.
LARGEST = 2 << 30


def take(arguments: list[str], *names: str) -> list[str]:
    """The positional arguments, if there is one per name; else an error that shows the names."""
    if len(arguments) != len(names):
        raise ValueError(f"Expected {' '.join(names)}. Got {' '.join(arguments) or 'nothing'} instead.")
    return arguments


def load_model(path: str) -> "keras.Model":
    """The Keras model in a file, uncompiled, in Keras' safe mode.

    Raises:
        ValueError: there is no such file, it is damaged, it unpacks to too much, or a class in it is not known.
    """
    import keras

    _check_file(path, "The model", "a .keras file")
    try:
        return keras.saving.load_model(path, compile=False)
    except (
        Exception
    ) as error:  # why all: a damaged file fails as KeyError, OSError, TypeError, zlib.error, ...
        raise ValueError(f"The model {path!r} cannot be read: {_reason(error)}") from error


def load_samples(path: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Inputs and, where there are any, targets, from a .npz file with arrays `x` and `y`, or a .npy file of inputs.

    Args:
        path: the file.

    Returns:
        `(x, y)`; y is None where the file has none.

    Raises:
        ValueError: there is no such file, it is damaged, it unpacks to too much, or it has no array `x`.
    """
    _check_file(path, "The '--data' flag", "a .npz or .npy file")
    try:
        with open(path, "rb") as stream:  # which NumPy would leave open where the file is damaged
            content = np.load(stream)
            arrays = content if isinstance(content, np.ndarray) else {name: content[name] for name in content}
    except Exception as error:  # why all: as above
        raise ValueError(
            f"The '--data' flag must name a .npz or .npy file. {path!r} cannot be read: {_reason(error)}"
        ) from error
    if isinstance(arrays, np.ndarray):
        return arrays, None
    if "x" not in arrays:
        raise ValueError(
            f"The '--data' flag must name a .npz file with arrays 'x' and 'y'. Got {path!r} with "
            f"{', '.join(arrays) or 'no arrays'}. Write it with numpy.savez(path, x=inputs, y=targets)."
        )
    return arrays["x"], arrays.get("y")


def _check_file(path: str, what: str, kind: str) -> None:
    if not Path(path).is_file():
        raise ValueError(f"{what} must name {kind}. There is no file {path!r}.")
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
        except zipfile.BadZipFile as error:
            raise ValueError(f"{what} must name {kind}. {path!r} cannot be read: {_reason(error)}") from error
        if size > LARGEST:
            raise ValueError(
                f"{what} must name {kind} that unpacks to {LARGEST >> 30} GiB at most. Got {path!r} with "
                f"{size / 2**30:.1f} GiB. Load it in Python if you trust it."
            )


def _reason(error: BaseException) -> str:
    """The first line of what went wrong."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def is_tflite(path: str) -> bool:
    """Whether a path names a .tflite file, and not a model of Keras.

    >>> is_tflite("net.TFLITE"), is_tflite("net.keras")
    (True, False)
    """
    return path.lower().endswith(".tflite")


def try_files(paths: list[str], runtimes: list[str]) -> None:
    """Runs .tflite files once, each in a process of its own: they may come from anywhere, and be damaged.

    Raises:
        CannotRunError: a file ends its process, takes too long or too much memory.
    """
    from tfopt.runtimes._trial import try_file

    for path in paths:
        if is_tflite(path) and Path(path).is_file():
            for runtime in runtimes:
                try_file(path, runtime)


def name_apart(paths: list[str]) -> dict[str, Any]:
    """Each path by its file name, or whole where several files have that name.

    Raises:
        ValueError: a path is given twice.

    >>> from tfopt.commands._arguments import name_apart
    >>> name_apart(["a/model.tflite", "b/model.tflite", "b/float.keras"])
    {'a/model.tflite': 'a/model.tflite', 'b/model.tflite': 'b/model.tflite', 'float.keras': 'b/float.keras'}
    """
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise ValueError(f"Each file must be named once. Got {twice!r} twice.")
    names = [Path(path).name for path in paths]
    return {name if names.count(name) == 1 else path: path for name, path in zip(names, paths, strict=True)}
