"""`.npz` and `.npy` files of NumPy."""

import math
import zipfile
from typing import IO, Any

import numpy as np

from tfopt.data._check_file import check_file, reason
from tfopt.data._samples import Samples, Wanted

_KIND = "a .npz or .npy file"


def read_arrays(path: str, wanted: Wanted) -> Samples:
    """Inputs and, where there are any, targets, from a .npz file with arrays `x` and `y`, or a .npy file of inputs.

    Args:
        path: the file.
        wanted: a model with several inputs finds them by their names, if there is no array `x`.

    Raises:
        ValueError: there is no such file, it is damaged, it unpacks to too much, or it has no inputs.
    """
    check_file(path, "The '--data' flag", _KIND)
    try:
        arrays = _load(path)
    except (
        Exception
    ) as error:  # why all: a damaged file fails as KeyError, OSError, EOFError, zlib.error, ...
        raise ValueError(
            f"The '--data' flag must name {_KIND}. {path!r} cannot be read: {reason(error)}"
        ) from error
    if isinstance(arrays, np.ndarray):
        return _samples(arrays, None)
    inputs, labels = wanted.inputs or "x", wanted.labels or "y"
    if labels not in arrays and wanted.labels:
        raise ValueError(f"The file {path!r} must hold an array {labels!r}. Got {_names(arrays)}.")
    if inputs in arrays:
        return _samples(arrays[inputs], arrays.get(labels))
    if wanted.shapes and set(wanted.shapes) <= set(arrays):
        return _samples({name: arrays[name] for name in wanted.shapes}, arrays.get(labels))
    several = f", or {', '.join(map(repr, wanted.shapes))} of the model's inputs" if wanted.shapes else ""
    raise ValueError(
        f"The '--data' flag must name a .npz file with arrays {inputs!r} and {labels!r}{several}. Got {path!r} with "
        f"{_names(arrays)}. Write it with numpy.savez(path, x=inputs, y=targets)."
    )


def _samples(x: Any, y: np.ndarray | None) -> Samples:
    arrays = list(x.values()) if isinstance(x, dict) else [x]
    if y is not None:
        arrays.append(y)
    if any(array.ndim == 0 or len(array) != len(arrays[0]) or not len(array) for array in arrays):
        raise ValueError(
            "The arrays of the data must hold as many samples each, at least one. Got shapes "
            f"{', '.join(str(array.shape) for array in arrays)}."
        )
    pixels = not isinstance(x, dict) and x.dtype == np.uint8 and x.ndim >= 3
    return Samples(x, y, pixels=pixels)


def _load(path: str) -> Any:
    with open(path, "rb") as stream:  # which NumPy would leave open where the file is damaged
        if zipfile.is_zipfile(stream):
            with zipfile.ZipFile(stream) as archive:
                for entry in archive.infolist():
                    with archive.open(entry) as member:
                        _check_header(member, entry.file_size)
        else:
            stream.seek(0)
            _check_header(stream, stream.seek(0, 2))
        stream.seek(0)
        content = np.load(stream)
        return content if isinstance(content, np.ndarray) else {name: content[name] for name in content}


def _check_header(stream: IO[bytes], size: int) -> None:
    """Raises unless an array is as large as its header says: NumPy asks for the memory before it looks."""
    if stream.seekable():
        stream.seek(0)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("It holds Python objects, which may run code; store numbers.")
    if math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"Its header asks for an array of {shape}, but the file ends before.")


def _names(arrays: dict[str, Any]) -> str:
    return ", ".join(map(repr, arrays)) or "no arrays"
