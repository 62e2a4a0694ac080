"""What commands read from the command line besides flags."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags

from tfopt import data  # whose names are imported on first use: `inspect` reads no samples

if TYPE_CHECKING:
    import keras

_MAX_MEMORY = flags.DEFINE_float(
    "max_memory",
    None,
    "GiB that a model or data may take, for files that you trust; 0 for any. By default 2, and less for small files.",
    lower_bound=0,
)


# What TensorFlow says then.
_OUT_OF_MEMORY = "OOM when allocating"


def allowed_memory() -> contextlib.AbstractContextManager[None]:
    """What `--max_memory` says, while files are read."""
    given = _MAX_MEMORY.value if flags.FLAGS.is_parsed() else None
    return contextlib.nullcontext() if given is None else data.allow_memory(int(given * 2**30))


def take(arguments: list[str], *names: str) -> list[str]:
    """The positional arguments, if there is one per name; else an error that shows the names."""
    if len(arguments) != len(names) or not all(arguments):
        given = " ".join(argument or "''" for argument in arguments)
        raise ValueError(f"Expected {' '.join(names)}. Got {given or 'nothing'} instead.")
    return arguments


def load_model(path: str, compile: bool = False) -> "keras.Model":
    """The Keras model in a file, in Keras' safe mode.

    Args:
        path: the file.
        compile: whether to compile it as it was, if it was; what its loss and metrics are is lost where they are not
            known here.

    Raises:
        ValueError: there is no such file, it is damaged, it unpacks to too much, or a class in it is not known.
    """
    import keras

    with reading(path):
        if compile:
            with contextlib.suppress(Exception):  # what is wrong comes up below too, if it is not the loss
                return keras.saving.load_model(path)
        return keras.saving.load_model(path, compile=False)


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """While a model is read: with no more memory than it may take, and whatever goes wrong as one sentence.

    Raises:
        ValueError: there is no such file, it is damaged, it unpacks to too much, or a class in it is not known.
    """
    with allowed_memory():
        data.check_file(path, "The model", "a .keras file")
        try:
            with data.limited_memory(path), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of libraries, about what the file says
                yield
        except ImportError:  # which names the package to install
            raise
        except (
            Exception
        ) as error:  # why all: a damaged file fails as KeyError, OSError, TypeError, zlib.error, ...
            if isinstance(error, MemoryError) or _OUT_OF_MEMORY in str(error):
                raise ValueError(
                    f"The model {path!r} asks for more memory than a file of its size should. If you trust it, allow "
                    "more with --max_memory."
                ) from error
            raise ValueError(f"The model {path!r} cannot be read: {data.reason(error)}") from error


def load_samples(path: str) -> tuple[Any, np.ndarray | None]:
    """Inputs and, where there are any, targets, from a .npz file with arrays `x` and `y`, or a .npy file of inputs.

    Args:
        path: the file.

    Returns:
        `(x, y)`; y is None where the file has none.

    Raises:
        ValueError: there is no such file, it is damaged, it unpacks to too much, or it has no array `x`.
    """
    with allowed_memory():
        samples = data.read_arrays(path, data.Wanted())
    return samples.x, samples.y


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

    with allowed_memory():
        for path in paths:
            if is_tflite(path) and Path(path).is_file():
                for runtime in runtimes:
                    try_file(path, runtime, memory=data.allowed())


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
