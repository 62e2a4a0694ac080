"""Reading features while a model runs: its own forward pass, its own layers, nothing built or rewired.

Running the captured graph instead would be another forward pass than the student's: capture follows one path
through a `call` that says `if training:`. A second Functional model over the same layers would make the user's
`layer.output` ambiguous.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from tfopt.distillation._layer_paths import Tap

_LOCK = threading.RLock()
_INSTALLED: dict[int, int] = {}  # id(layer) -> how many threads are listening to it
_THREAD = threading.local()


def run_with_taps(
    model: Callable[..., Any], taps: Sequence[Tap], *args: Any, **kwargs: Any
) -> tuple[Any, list]:
    """Calls a model and returns its outputs, and what the tapped layers returned on the way.

    Args:
        model: a Keras model, or a function that calls one.
        taps: the outputs to record.
        *args: arguments of the model.
        **kwargs: likewise.

    Returns:
        The model's outputs, and a list with the output of each tap.

    Raises:
        ValueError: a layer was not called, called several times without the tap saying which call counts, or
            returned several tensors.
    """
    with _recording([tap.layer for tap in taps]) as calls:
        outputs = model(*args, **kwargs)
    return outputs, [_choose(tap, calls[id(tap.layer)]) for tap in taps]


def _choose(tap: Tap, outputs: list[Any]) -> Any:
    name = tap.layer.name
    if tap.call is None and len(outputs) > 1:
        raise ValueError(
            f"The layer {name!r} is called {len(outputs)} times in one step, so its output is not one feature. State "
            f"which call is meant, from 0: {name + ':0'!r}."
        )
    if (tap.call or 0) >= len(outputs):
        raise ValueError(
            f"The features of {name!r} cannot be read: the layer is called {len(outputs)} times in one step"
            f"{'' if tap.call is None else f', and call {tap.call} (from 0) is asked for'}. Choose another layer."
        )
    output = outputs[tap.call or 0]
    if not hasattr(output, "shape"):
        raise ValueError(
            f"The layer {name!r} returns a {type(output).__name__} and not one tensor, so it is not a feature. "
            "Choose a layer inside it."
        )
    return output


@contextlib.contextmanager
def _recording(layers: list[keras.layers.Layer]) -> Iterator[dict[int, list[Any]]]:
    """Collects what each layer returns in this thread: each replica of a MirroredStrategy runs in one of its own."""
    calls: dict[int, list[Any]] = {id(layer): [] for layer in layers}
    before = getattr(_THREAD, "calls", None)
    distinct = list({id(layer): layer for layer in layers}.values())
    for layer in distinct:
        _install(layer)
    _THREAD.calls = calls
    try:
        yield calls
    finally:
        _THREAD.calls = before
        for layer in distinct:
            _remove(layer)


def _install(layer: keras.layers.Layer) -> None:
    with _LOCK:
        _INSTALLED[id(layer)] = _INSTALLED.get(id(layer), 0) + 1
        if _INSTALLED[id(layer)] > 1:
            return
        call = layer.call

        def recorded(*args: Any, **kwargs: Any) -> Any:
            outputs = call(*args, **kwargs)
            listening = getattr(_THREAD, "calls", None)
            if listening is not None and id(layer) in listening:
                listening[id(layer)].append(outputs)
            return outputs

        # Set on the instance: Keras calls `self.call`, and has no hook for a layer's output.
        layer.call = recorded


def _remove(layer: keras.layers.Layer) -> None:
    with _LOCK:
        _INSTALLED[id(layer)] -= 1
        if not _INSTALLED[id(layer)]:
            del _INSTALLED[id(layer)]
            del layer.call  # the class's own method is visible again


class _Traced(keras.layers.Layer):
    """Lets `compute_output_spec` run a model with its taps, so that shapes are known before the first batch."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.function(inputs)


def feature_specs(
    model: keras.Model, taps: Sequence[Tap], inputs: Any, training: bool
) -> list[keras.KerasTensor]:
    """The features' shapes and dtypes, as Keras tensors.

    Args:
        model: a built Keras model.
        taps: the outputs to record.
        inputs: Keras tensors of the model's inputs.
        training: the mode in which the model is to run.
    """

    def run(x: Any) -> list[Any]:
        return run_with_taps(model, taps, x, training=training)[1]

    return _Traced(run).compute_output_spec(inputs)
