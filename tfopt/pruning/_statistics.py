"""Statistics: what criteria need besides the weights, such as gradients, from a few batches of samples."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt._samples import batches
from tfopt.pruning._checks import named
from tfopt.pruning._group import Group, Member
from tfopt.pruning._inputs import input_norms
from tfopt.pruning._scores import Statistics
from tfopt.pruning._targets import path_of

_HELP = "Pass data=(inputs, targets) or a few such batches."


class Samples:
    """The samples given to Pruning, kept as a list of batches so that they can be read at every update.

    Args:
        data: a tuple of inputs and targets, or anything that yields such batches; None if there are no samples.
    """

    def __init__(self, data: Any) -> None:
        self.data = data
        self._batches: list[tuple[Any, Any]] | None = None

    def of(self, model: keras.Model) -> list[tuple[Any, Any]]:
        """Pairs of inputs and targets (or None)."""
        if self._batches is None:
            # A list of tuples is batches; other lists are samples.
            listed = isinstance(self.data, list) and self.data and isinstance(self.data[0], tuple)
            data = iter(self.data) if listed else self.data
            self._batches = list(batches(data, getattr(model, "inputs", None) or 1, "data"))
        return self._batches


def collect(
    needs: Iterable[str], groups: Sequence[Group], model: keras.Model, samples: Samples, seed: int
) -> Statistics:
    """The needed statistics of each kernel, as (positions, inputs, outputs) or in a shape that broadcasts.

    Raises:
        ValueError: the samples have no targets, the model has no loss, a layer has no batch norm after it, or it is
            not known which inputs a layer's kernel multiplies.
        NotImplementedError: gradients are needed on another backend than TensorFlow and JAX.
    """
    needs = set(needs)
    members = [member for group in groups for member in group.kernels]
    found: Statistics = {id(member): {} for member in members}
    if needs & {"gradient", "squared_gradient"}:
        _add(found, members, ("gradient", "squared_gradient"), _gradients(members, model, samples))
    if "input_norm" in needs:
        _add(
            found, members, ("input_norm",), zip(input_norms(members, model, samples.of(model)), strict=True)
        )
    if "noise" in needs:
        _add(found, members, ("noise",), ((_noise(member, seed + n),) for n, member in enumerate(members)))
    if "gamma" in needs:
        _add(found, members, ("gamma",), ((_gamma(group),) for group in groups for _ in group.kernels))
    return found


def _add(
    found: Statistics, members: Sequence[Member], names: tuple[str, ...], values: Iterable[tuple[Any, ...]]
) -> None:
    for member, tensors in zip(members, values, strict=True):
        found[id(member)].update(zip(names, tensors, strict=True))


def _noise(member: Member, seed: int) -> Any:
    # In (0, 1], because 0 stands for weights that are pruned already.
    return 1.0 - keras.random.uniform(member.layout.matrix_shape, seed=seed)


def _gamma(group: Group) -> Any:
    kernel = group.kernels[0]
    if not group.gammas:
        raise ValueError(
            "The 'criterion' argument of Pruning must suit the layers: 'batch_norm' needs a batch norm with a gamma "
            f"right after each. Got '{path_of(kernel.layer)}' without one instead. Leave it out with where=, or "
            "use criterion='magnitude'."
        )
    scales = [member.layout.to_matrix(ops.convert_to_tensor(member.variable)) for member in group.gammas]
    return sum(ops.abs(scale) for scale in scales) / len(scales)


def _gradients(members: Sequence[Member], model: keras.Model, samples: Samples) -> Iterator[tuple[Any, Any]]:
    """The mean over the batches of the gradient of the model's own loss, and of its square."""
    loss_of = _loss_of(model)
    sums: list[list[Any]] = []
    pairs = samples.of(model)
    for x, y in pairs:
        if y is None:
            raise ValueError(
                f"The 'data' argument of Pruning must hold targets for gradients. Got inputs only. {_HELP}"
            )
        gradients = loss_of([member.variable for member in members], x, y)
        new = [[gradient, ops.square(gradient)] for gradient in gradients]
        sums = (
            [[a + b for a, b in zip(*two, strict=True)] for two in zip(sums, new, strict=True)]
            if sums
            else new
        )
    for member, (first, second) in zip(members, sums, strict=True):
        yield member.layout.to_matrix(first / len(pairs)), member.layout.to_matrix(second / len(pairs))


def _loss_of(model: keras.Model) -> Callable[[list[keras.Variable], Any, Any], list[Any]]:
    make = _GRADIENTS.get(keras.backend.backend())
    if make is None:
        raise NotImplementedError(
            f"Criteria and regrowth that read gradients run on the {named(_GRADIENTS)} backend. "
            f"Got {keras.backend.backend()!r} instead. Use criterion='magnitude', or SET in place of RigL."
        )
    return make(model)


def _on_tensorflow(model: keras.Model) -> Callable[[list[keras.Variable], Any, Any], list[Any]]:
    def gradients(variables: list[keras.Variable], x: Any, y: Any) -> list[Any]:
        import tensorflow as tf

        values = [variable.value for variable in variables]
        with tf.GradientTape() as tape:
            y_pred = model(x, training=False)
            loss = model.compute_loss(x=x, y=y, y_pred=y_pred, training=False)
        found = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        # Embeddings have sparse gradients.
        return [tf.cast(tf.convert_to_tensor(gradient), tf.float32) for gradient in found]

    return gradients


def _on_jax(model: keras.Model) -> Callable[[list[keras.Variable], Any, Any], list[Any]]:
    def gradients(variables: list[keras.Variable], x: Any, y: Any) -> list[Any]:
        import jax

        def loss(values: list[Any]) -> Any:
            # What the model writes, such as its metrics, is dropped with the scope.
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                y_pred = model(x, training=False)
                return model.compute_loss(x=x, y=y, y_pred=y_pred, training=False)

        found = jax.grad(loss)([variable.value for variable in variables])
        return [ops.cast(gradient, "float32") for gradient in found]

    return gradients


_GRADIENTS = {"tensorflow": _on_tensorflow, "jax": _on_jax}


def new_seed() -> int:
    """A seed for noise, which `keras.utils.set_random_seed` determines."""
    return int(np.random.randint(2**30))
