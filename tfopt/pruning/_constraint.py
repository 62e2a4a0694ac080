"""The constraint that keeps pruned weights at zero: Keras applies it in the compiled step, after every update."""

from collections.abc import Callable, Iterable
from typing import Any

import keras

from tfopt._training_state import ConstraintChain
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


def own_constraint(variable: keras.Variable) -> Callable[[Any], Any] | None:
    """The user's constraint, even if a training run that raised an error has left its mask on the weight."""
    constraint = variable.constraint
    return constraint.inner if isinstance(constraint, MaskConstraint) else constraint


def left_behind(variables: Iterable[keras.Variable]) -> list[keras.Variable]:
    """The masks that a training run has left on these weights because it raised an error."""
    constraints = [variable.constraint for variable in variables]
    return [constraint.mask for constraint in constraints if isinstance(constraint, MaskConstraint)]
