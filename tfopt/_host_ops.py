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


_READ = (np.ndarray, np.generic, bool, int, float, str)


def _read(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return type(x)(map(_read, x))
    if isinstance(x, _READ):  # before Keras is asked, which takes a hundred times as long
        return x
    # Not convert_to_numpy, which makes a copy and warns of it; nor the value of a variable: where a `tf.distribute`
    # strategy mirrors a scalar, NumPy cannot read that.
    if isinstance(x, keras.Variable):
        return np.asarray(x)
    return np.asarray(x) if keras.ops.is_tensor(x) else x


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
