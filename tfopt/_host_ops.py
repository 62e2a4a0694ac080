"""`keras.ops` that can compute on the host: a grid is a dozen operations on a few numbers, cheap in NumPy alone.

As operations of TensorFlow, one by one, they would cost a hundred times as much: more than tracing the network.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

_host = threading.local()

# What NumPy reads as it is.
_READ = (np.ndarray, np.generic, bool, int, float, str)


@contextlib.contextmanager
def on_host() -> Iterator[None]:
    """Inside, `ops` reads weights and tensors of this thread as NumPy arrays, and computes in NumPy.

    While TensorFlow traces a function, it changes nothing. The numbers are the same to the last bit: what NumPy might
    round in another way is not in the table below.

    >>> from tfopt._host_ops import on_host, ops
    >>> with on_host():
    ...     type(ops.round(ops.cast(2.5, "float32")))
    <class 'numpy.float32'>
    """
    before = getattr(_host, "on", False)
    _host.on = not _is_tracing()
    try:
        yield
    finally:
        _host.on = before


def array_of(x: Any) -> np.ndarray:
    """The numbers of a variable or tensor as an array, which may share their memory: it is only to be read.

    NumPy and Keras copy a variable of TensorFlow where they are asked for its numbers.

    >>> import keras
    >>> from tfopt._host_ops import array_of
    >>> array_of(keras.Variable([1.0, 2.0])).tolist()
    [1.0, 2.0]
    """
    if keras.backend.backend() != "tensorflow" or isinstance(x, _READ):
        return np.asarray(x)
    import tensorflow as tf

    return np.asarray(tf.convert_to_tensor(x.value if isinstance(x, keras.Variable) else x))


def assign_from(source: keras.Variable, target: keras.Variable) -> None:
    """Gives a variable the numbers of another one; TensorFlow lets both share memory until one of them is written."""
    # The training steps of JAX give the memory of variables away: it must be nobody else's.
    shares = keras.backend.backend() == "tensorflow"
    target.assign(keras.ops.convert_to_tensor(source) if shares else source.numpy())


def row_blocks(array: np.ndarray, size: int = 2**20) -> Iterator[slice]:
    """Slices of the first axis, each of some `size` numbers: what is computed by them needs little memory beside.

    >>> import numpy as np
    >>> from tfopt._host_ops import row_blocks
    >>> list(row_blocks(np.zeros((5, 4)), size=8))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None)]
    """
    rows = max(size * len(array) // max(array.size, 1), 1)
    return (slice(at, at + rows) for at in range(0, len(array), rows))


def _is_tracing() -> bool:
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.executing_eagerly()


def _cast(x: Any, dtype: str) -> Any:
    return np.asarray(x, dtype)


def _convert_to_tensor(x: Any, dtype: str | None = None) -> Any:
    return np.asarray(x, "float32" if dtype is None and isinstance(x, float) else dtype)


# Sums and powers are left to TensorFlow: they may differ in the last bit.
_IN_NUMPY: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "cast": _cast,
    "ceil": np.ceil,
    "clip": np.clip,
    "convert_to_tensor": _convert_to_tensor,
    "equal": np.equal,
    "floor": np.floor,
    "log2": np.log2,
    "max": np.max,
    "maximum": np.maximum,
    "min": np.min,
    "minimum": np.minimum,
    "reshape": np.reshape,
    "round": np.round,
    "sign": np.sign,
    "sqrt": np.sqrt,
    "stop_gradient": lambda x: x,
    "take": np.take,
    "where": np.where,
}


def _read(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return type(x)(map(_read, x))
    if isinstance(x, _READ):  # before Keras is asked, which takes a hundred times as long
        return x
    is_ours = isinstance(x, keras.Variable) or keras.ops.is_tensor(x)
    return array_of(x) if is_ours else x


class _Operations:
    """The functions of `keras.ops`, by name."""

    def __getattr__(self, name: str) -> Any:
        usual, in_numpy = getattr(keras.ops, name), _IN_NUMPY.get(name)
        if in_numpy is None:
            return usual

        @functools.wraps(usual)
        def function(*args: Any, **kwargs: Any) -> Any:
            if not getattr(_host, "on", False):
                return usual(*args, **kwargs)
            with np.errstate(all="ignore"):  # TensorFlow says nothing either
                return in_numpy(*map(_read, args), **kwargs)

        setattr(self, name, function)
        return function


ops: Any = _Operations()
