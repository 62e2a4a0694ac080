"""The constraint that keeps pruned weights at zero: Keras applies it in the compiled step, after every update."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras

from tfopt._training_state import ConstraintChain, create_state
from tfopt.pruning._backend import create_masks
from tfopt.pruning._masks import apply_mask


class MaskConstraint(ConstraintChain):
    """`mask * inner(mask * weight)`, with `inner` the constraint that the user gave the weight.

    The mask is applied last, so that zeros are exact whatever `inner` does. It is applied first too, so that a norm or
    mean in `inner` is that of the kept weights.

    Args:
        mask: a bool variable of the weight's shape.
        inner: the weight's own constraint, or None.

    >>> import keras
    >>> from tfopt.pruning._constraint import MaskConstraint
    >>> mask = keras.Variable([True, True, False], dtype="bool", trainable=False)
    >>> constraint = MaskConstraint(mask, keras.constraints.UnitNorm())
    >>> keras.ops.convert_to_numpy(constraint([3.0, 4.0, 9.0])).tolist()
    [0.6..., 0.8..., 0.0]
    """

    def __init__(self, mask: keras.Variable, inner: Callable[[Any], Any] | None = None) -> None:
        super().__init__(inner)
        self.mask = mask

    def __call__(self, w: Any) -> Any:
        """The weight as it must be after an update."""
        w = apply_mask(w, self.mask)
        return w if self.inner is None else apply_mask(self.inner(w), self.mask)

    @property
    def state(self) -> list[keras.Variable]:
        """What it keeps."""
        return [self.mask]

    def reveal(self, weight: keras.Variable) -> None:
        """Let the weight hold all that masks are made from."""

    def forget(self) -> None:
        """Let pruned weights be nothing but zero."""


class StraightThroughMask(MaskConstraint):
    """As `MaskConstraint`; what it takes off the weight goes on moving in a variable of its own (arXiv 2102.04010).

    Args:
        mask: a bool variable of the weight's shape.
        hidden: a variable of the weight's shape: the pruned weights, and zero where a weight is kept.
        decay: part of `hidden` that each call takes off it.
        inner: the weight's own constraint, or None.

    >>> import keras
    >>> from tfopt.pruning._constraint import StraightThroughMask
    >>> mask = keras.Variable([True, False], dtype="bool", trainable=False)
    >>> constraint = StraightThroughMask(mask, keras.Variable([0.0, 4.0], trainable=False), decay=0.5)
    >>> constraint(keras.ops.array([3.0, -1.0])).numpy().tolist(), constraint.hidden.numpy().tolist()
    ([3.0, 0.0], [0.0, 1.0])
    """

    def __init__(
        self,
        mask: keras.Variable,
        hidden: keras.Variable,
        decay: float,
        inner: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(mask, inner)
        self.hidden = hidden
        self.decay = decay

    @property
    def state(self) -> list[keras.Variable]:
        return [self.mask, self.hidden]

    def __call__(self, w: Any) -> Any:
        w = keras.ops.convert_to_tensor(w)
        whole = w + (1.0 - self.decay) * keras.ops.cast(self.hidden, w.dtype)
        self.hidden.assign(apply_mask(whole, keras.ops.logical_not(self.mask)))
        return super().__call__(whole)

    def reveal(self, weight: keras.Variable) -> None:
        weight.assign(weight + keras.ops.cast(self.hidden, weight.dtype))
        self.forget()

    def forget(self) -> None:
        self.hidden.assign(keras.ops.zeros_like(self.hidden))


def constraints_for(
    model: keras.Model, variables: Sequence[keras.Variable], decay: float | None
) -> list[MaskConstraint]:
    """A constraint for each weight, around its own; straight-through ones where there is a decay."""
    masks, own = create_masks(model, variables), [own_constraint(variable) for variable in variables]
    if decay is None:
        return [MaskConstraint(mask, inner) for mask, inner in zip(masks, own, strict=True)]
    shapes = [variable.shape for variable in variables]
    hidden = create_state(model, shapes, "zeros", "float32", "pruned_weight")
    return [
        StraightThroughMask(mask, one, decay, inner)
        for mask, one, inner in zip(masks, hidden, own, strict=True)
    ]


def own_constraint(variable: keras.Variable) -> Callable[[Any], Any] | None:
    """The user's constraint, even if a training run that raised an error has left its mask on the weight."""
    constraint = variable.constraint
    return constraint.inner if isinstance(constraint, MaskConstraint) else constraint


def left_behind(variables: Iterable[keras.Variable]) -> list[keras.Variable]:
    """The state of masks that a training run has left on these weights because it raised an error."""
    constraints = [variable.constraint for variable in variables]
    return [one for link in constraints if isinstance(link, MaskConstraint) for one in link.state]
