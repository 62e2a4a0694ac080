"""The contract that every distillation loss fulfils, and the matching of teacher outputs to student outputs."""

import math
from typing import Any

import keras

from tfopt.graph import capture


class DistillationLoss(keras.losses.Loss):
    """Base of the losses that compare what the student returns with what the teacher returns.

    A new loss is one subclass with one method, `call(teacher, student)`: the loss of each sample (or of each position:
    pixel, token), for one output of the models. Sample weights, Keras masks, the mean over the batch and
    `tf.distribute` scaling follow the rules of any `keras.losses.Loss`, from which all of that is inherited.
    Override `check` to refuse models that the loss cannot compare, and `compare` for a loss that does not
    look at the models' outputs one by one. Everything is computed in float32, whatever the models' dtypes.

    Args:
        weight: factor of this loss in the total loss; finite and not negative.
        name: name of the loss.

    Raises:
        ValueError: `weight` is negative or not finite.

    Example:

    >>> import keras, numpy as np
    >>> from tfopt.distillation import DistillationLoss
    >>> class LogitMSE(DistillationLoss):
    ...     def call(self, teacher, student):
    ...         return keras.ops.mean(keras.ops.square(teacher - student), axis=-1)
    >>> print(float(LogitMSE()(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))))
    2.5
    """

    def __init__(self, weight: float = 1.0, name: str | None = None) -> None:
        super().__init__(name=name, dtype="float32")
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(
                f"The 'weight' argument of {type(self).__name__} must be a finite number >= 0. Got {weight} instead. "
                "It multiplies this loss in the total; 1.0 leaves it as it is."
            )
        self.weight = float(weight)

    def call(self, teacher: Any, student: Any) -> Any:
        """The loss per sample or position, of shape `(batch, ...)`, for one pair of output tensors."""
        raise NotImplementedError(f"{type(self).__name__} must implement call(teacher, student).")

    def check(self, teacher: Any, student: keras.Model) -> None:
        """Raises ValueError at construction if the models, as far as they are known, cannot be compared.

        Args:
            teacher: a built Keras layer or model, or any callable.
            student: a Keras model, built or not.
        """
        outputs = [symbolic_outputs(model) for model in (teacher, student)]
        if None not in outputs:
            self.pairs(*outputs)

    def compare(self, teacher: Any, student: Any, sample_weight: Any = None) -> Any:
        """The scalar loss of a batch: the sum over the models' outputs of the weighted mean over samples.

        Args:
            teacher: outputs of the teacher, a tensor or a nest of them.
            student: outputs of the student, of the same structure and shapes.
            sample_weight: None, one array for all outputs, or a nest with one for each.
        """
        pairs = self.pairs(teacher, student)
        weights = keras.tree.flatten(sample_weight)
        if len(weights) != len(pairs):
            weights = weights[:1] * len(pairs)
        return sum(self(t, s, w) for (t, s), w in zip(pairs, weights, strict=True))

    def pairs(self, teacher: Any, student: Any) -> list[tuple[Any, Any]]:
        """The teacher's and the student's output tensors side by side.

        Raises:
            ValueError: structures or shapes differ.
        """
        shapes = [_shapes(teacher), _shapes(student)]
        if [path for path, _ in shapes[0]] != [path for path, _ in shapes[1]] or not all(
            _compatible(t, s) for (_, t), (_, s) in zip(*shapes, strict=True)
        ):
            raise ValueError(
                f"{type(self).__name__} compares the outputs of teacher and student one by one, so they must have "
                f"the same structure and shapes. Got {_describe(shapes[0])} from the teacher and "
                f"{_describe(shapes[1])} from the student. Give both models the same heads."
            )
        return list(zip(keras.tree.flatten(teacher), keras.tree.flatten(student), strict=True))

    def get_config(self) -> dict[str, Any]:
        return {"weight": self.weight, "name": self.name}


def symbolic_outputs(model: Any) -> Any:
    """The outputs of a model as Keras tensors (a nest of them), or None where only a batch can tell."""
    try:
        return capture(model).outputs
    except (TypeError, ValueError):
        return None


def _shapes(outputs: Any) -> list[tuple[tuple, tuple]]:
    leaves = keras.tree.flatten_with_path(keras.tree.lists_to_tuples(outputs))
    return [(path, tuple(tensor.shape)) for path, tensor in leaves]


def _compatible(a: tuple, b: tuple) -> bool:
    """None stands for a size that is not known yet, as in a batch dimension."""
    return len(a) == len(b) and all(i is None or j is None or i == j for i, j in zip(a, b, strict=True))


def _describe(shapes: list[tuple[tuple, tuple]]) -> str:
    return ", ".join(f"{'/'.join(map(str, path))}: {shape}" if path else str(shape) for path, shape in shapes)
