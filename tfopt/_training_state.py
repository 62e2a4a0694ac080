"""What callbacks keep while a model trains: variables that the compiled step can read, and constraints on weights."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from tfopt._replicas import average_statistics


def variable_scope(model: keras.Model) -> contextlib.AbstractContextManager[Any]:
    """The context in which variables of the model are created and assigned: on TensorFlow, its strategy's."""
    if keras.backend.backend() == "tensorflow":
        return model.distribute_strategy.scope()
    return contextlib.nullcontext()


def create_state(
    model: keras.Model, shapes: Sequence[tuple[int, ...]], initializer: str, dtype: str, name: str
) -> list[keras.Variable]:
    """Variables that the compiled training step can read and assign, one of each shape."""
    if keras.backend.backend() == "jax":
        return _optimizer_state(model.optimizer, shapes, initializer, dtype, name)
    with variable_scope(model):
        return [
            keras.Variable(
                initializer,
                shape=shape,
                dtype=dtype,
                trainable=False,
                # Every replica computes the same.
                aggregation="only_first_replica",
                name=name,
            )
            for shape in shapes
        ]


def _optimizer_state(
    optimizer: keras.optimizers.Optimizer,
    shapes: Sequence[tuple[int, ...]],
    initializer: str,
    dtype: str,
    name: str,
) -> list[keras.Variable]:
    # On JAX the training step is a pure function of the model's and the optimizer's variables. Anything else that it
    # reads becomes a constant of the compiled function.
    add = innermost(optimizer).add_variable
    # Each has a name of its own: OrbaxCheckpoint keeps variables by their names.
    state = [
        add(shape, initializer, dtype=dtype, name=f"{name}_{number}") for number, shape in enumerate(shapes)
    ]
    _hide(optimizer, _hidden(optimizer) | {id(variable) for variable in state})
    return state


def _hidden(optimizer: keras.optimizers.Optimizer) -> set[int]:
    """The variables that the optimizer does not save, by id."""
    save = vars(optimizer).get("save_own_variables")
    return save.args[0] if save is not None else set()


def _hide(optimizer: keras.optimizers.Optimizer, hidden: set[int]) -> None:
    """Leave variables out of what is saved and loaded: a checkpoint with them would not load into a plain optimizer.

    Nor would one without them load while they are there, as when a callback restores a backup as training begins.
    """
    for holder in (optimizer, innermost(optimizer)):
        if hidden:
            holder.save_own_variables = functools.partial(_save_without, hidden, holder)
            holder.load_own_variables = functools.partial(_load_without, hidden, holder)
        else:
            vars(holder).pop("save_own_variables", None)
            vars(holder).pop("load_own_variables", None)


def _save_without(hidden: set[int], optimizer: keras.optimizers.Optimizer, store: Any) -> None:
    for index, variable in enumerate(_kept(hidden, optimizer)):
        store[str(index)] = variable.numpy()


def _load_without(hidden: set[int], optimizer: keras.optimizers.Optimizer, store: Any) -> None:
    kept = _kept(hidden, optimizer)
    if len(store.keys()) != len(kept):
        type(optimizer).load_own_variables(optimizer, store)  # which warns of it
        return
    for index, variable in enumerate(kept):
        variable.assign(store[str(index)])


def _kept(hidden: set[int], optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    return [variable for variable in optimizer.variables if id(variable) not in hidden]


def remove_state(model: keras.Model, state: Sequence[keras.Variable]) -> None:
    """Remove the variables from the optimizer, on the backend where it holds them."""
    if keras.backend.backend() != "jax":
        return
    inner = innermost(model.optimizer)
    _hide(model.optimizer, _hidden(model.optimizer) - {id(variable) for variable in state})
    held = {id(variable) for variable in inner.variables}
    for variable in state:
        if id(variable) in held:
            # why: Keras has no public way to take a variable out of an optimizer.
            inner._untrack_variable(variable)


def synchronize(model: keras.Model) -> None:
    """Write the current values into the variables: on JAX they are kept elsewhere while an epoch runs."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()


def reconcile(model: keras.Model) -> None:
    """As `synchronize`, and let all replicas of a strategy have the same statistics: where they are read or kept."""
    synchronize(model)
    average_statistics(model, workers=True)


def innermost(optimizer: Any) -> Any:
    """The optimizer that updates the weights: the one inside a LossScaleOptimizer."""
    return getattr(optimizer, "inner_optimizer", optimizer)


class ConstraintChain(keras.constraints.Constraint):
    """Base of a constraint that a callback puts on a weight during `fit`, around the one that is there.

    Args:
        inner: the weight's constraint so far, or None.
    """

    def __init__(self, inner: Callable[[Any], Any] | None = None) -> None:
        self.inner = inner

    def get_config(self) -> dict[str, Any]:
        """Refuse: it belongs to one training run and is never saved with a layer."""
        raise NotImplementedError(f"A {type(self).__name__} exists during fit only and cannot be saved.")


def in_force(variable: keras.Variable, constraint: ConstraintChain) -> bool:
    """Whether a constraint is on a weight, alone or inside that of another callback."""
    return any(link is constraint for link in chain_of(variable))


def take_off(variable: keras.Variable, constraint: ConstraintChain) -> None:
    """Take a constraint off a weight, and leave those around it and inside it.

    >>> import keras
    >>> from tfopt._training_state import ConstraintChain, chain_of, take_off
    >>> inner = ConstraintChain(keras.constraints.NonNeg())
    >>> weight = keras.Variable([1.0])
    >>> weight.constraint = ConstraintChain(inner)
    >>> take_off(weight, inner)
    >>> [type(link).__name__ for link in chain_of(weight)]
    ['ConstraintChain', 'NonNeg']
    """
    if variable.constraint is constraint:
        variable.constraint = constraint.inner
    for link in chain_of(variable):
        if getattr(link, "inner", None) is constraint:
            link.inner = constraint.inner


def chain_of(variable: keras.Variable) -> Iterator[Any]:
    """The constraints on a weight, the outermost first."""
    link = variable.constraint
    while link is not None:
        yield link
        link = link.inner if isinstance(link, ConstraintChain) else None
