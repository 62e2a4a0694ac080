"""Numbers that depend on weights alone: computed once, outside of what is traced, and held for a trace to read."""

import contextlib
import dataclasses
import functools
import hashlib
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, cast

import keras
import numpy as np

from tfopt._host_ops import on_host
from tfopt.kernels._packed_variables import PackedVariables

Method = TypeVar("Method", bound=Callable)
_reading = threading.local()


def once(method: Method) -> Method:
    """A method whose result depends on weights alone: inside `Numbers.read` it is computed once for equal arguments.

    Anywhere else, such as in training, it is the plain method.

    >>> from tfopt.kernels._once import Numbers, once
    >>> class Layer:
    ...     calls = 0
    ...     @once
    ...     def step(self):
    ...         self.calls += 1
    ...         return 0.5
    >>> layer = Layer()
    >>> with Numbers().read():
    ...     steps = layer.step(), layer.step()
    >>> steps, layer.calls
    ((0.5, 0.5), 1)
    """

    @functools.wraps(method)
    def held(self: Any, *args: Any) -> Any:
        numbers = getattr(_reading, "numbers", None)
        return method(self, *args) if numbers is None else numbers.of(method, (self, *args))

    return cast(Method, held)


def untraced(function: Callable[[], Any]) -> Any:
    """What a function of nothing that is traced gives, without a trace of its operations.

    >>> from tfopt.kernels._once import untraced
    >>> untraced(lambda: 2.0)
    2.0
    """
    if keras.backend.backend() != "tensorflow":
        return function()
    import tensorflow as tf

    with tf.init_scope():
        return function()


class Numbers:
    """The results of `once` methods while no weight moves, computed on the host."""

    def __init__(self) -> None:
        self._found: dict[tuple[Callable, tuple[Any, ...]], Any] = {}

    @contextlib.contextmanager
    def read(self) -> Iterator[None]:
        """Inside, `once` methods called in this thread give what is kept here."""
        before = getattr(_reading, "numbers", None)
        _reading.numbers = self
        try:
            yield
        finally:
            _reading.numbers = before

    def of(self, method: Callable, args: tuple[Any, ...]) -> Any:
        """The method's result."""
        if (method, args) not in self._found:
            with on_host():
                self._found[method, args] = method(*args)
        return self._found[method, args]


class HeldNumbers(Numbers):
    """The results of `once` methods in variables of TensorFlow, which what was traced reads again in each call.

    Not as constants: TensorFlow and XLA multiply by the reciprocal of a constant where they should divide, and that
    rounds differently; and when weights have moved, the same trace goes on to serve. What was not asked for before
    `hold` is computed in the trace, for a function that makes variables is traced twice.

    Args:
        weights: all that the results may depend on.
    """

    def __init__(self, weights: Iterable[keras.Variable]) -> None:
        super().__init__()
        # What was asked for -> its structure, with an index in place of each array.
        self._places: dict[Any, Any] = {}
        self._packed: PackedVariables | None = None
        self._fingerprint = _fingerprint(weights)
        # Graph -> what it has read.
        self._read: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()
        self._parts: weakref.WeakKeyDictionary[Any, dict[int, Any]] = weakref.WeakKeyDictionary()

    def hold(self) -> None:
        """Makes variables of all that was asked for until now."""
        arrays: list[np.ndarray] = []

        def place(number: Any) -> Any:
            if not _is_array(number):
                return number
            arrays.append(np.asarray(number))
            return _Place(len(arrays) - 1)

        self._places = {key: keras.tree.map_structure(place, number) for key, number in self._found.items()}
        self._packed = PackedVariables(arrays)

    def of(self, method: Callable, args: tuple[Any, ...]) -> Any:
        import tensorflow as tf

        key = method, args
        if tf.executing_eagerly():
            return super().of(method, args)
        if key not in self._places or self._packed is None:
            return method(*args)
        graph, packed = tf.compat.v1.get_default_graph(), self._packed
        read = self._read.setdefault(graph, {})
        if key not in read:
            parts = self._parts.setdefault(graph, {})
            read[key] = keras.tree.map_structure(
                lambda leaf: packed.read(leaf.index, parts) if isinstance(leaf, _Place) else leaf,
                self._places[key],
            )
        return read[key]

    def follow(self, weights: Iterable[keras.Variable]) -> None:
        """Computes all again if a weight has moved since the last time."""
        fingerprint = _fingerprint(weights)
        if fingerprint == self._fingerprint:
            return
        self._found.clear()
        with self.read():
            numbers = [self.of(*key) for key in self._places]
        leaves = keras.tree.flatten(numbers)
        if self._packed is not None:
            self._packed.assign([np.asarray(leaf) for leaf in leaves if _is_array(leaf)])
        self._fingerprint = fingerprint

    def reading(self, function: Callable) -> Callable:
        """A function that traces and runs while `once` methods give what is kept here."""

        @functools.wraps(function)
        def reading(*args: Any) -> Any:
            with self.read():
                return function(*args)

        return reading


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where an array is held."""

    index: int


def _is_array(number: Any) -> bool:
    return isinstance(number, (np.ndarray, np.generic)) or keras.ops.is_tensor(number)


def _fingerprint(weights: Iterable[keras.Variable]) -> bytes:
    digest = hashlib.sha256()
    for weight in weights:
        digest.update(np.asarray(weight).tobytes())
    return digest.digest()
