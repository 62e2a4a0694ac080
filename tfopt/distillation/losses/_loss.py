"""The contract of every distillation loss, and the pairing of the teacher's outputs with the student's."""

from typing import Any

import keras
from keras import ops

from tfopt.distillation._settings import (
    Setting,
    check_setting,
    deserialize_setting,
    serialize_setting,
    value_at,
)
from tfopt.graph import capture

Shape = tuple[int | None, ...]


class DistillationLoss(keras.losses.Loss):
    """Base of the losses that compare what the student returns with what the teacher returns.

    A new loss is one subclass with one method, `call(teacher, student)`: the loss of each sample (or of each position:
    pixel, token), for one output of the models. Sample weights, Keras masks, the mean over the batch and
    `tf.distribute` scaling follow the rules of any `keras.losses.Loss`, from which all of that is inherited.
    Everything is computed in float32, whatever the models' dtypes.

    What else a subclass may override or set:

    - `check`: to refuse models that the loss cannot compare.
    - `features`: to get outputs of layers instead of the models' outputs; see `FeatureLoss`.
    - `fits` with `needs`: which shapes can be compared; by default, equal ones.
    - `scheduled`: names of the attributes that may be schedules. `call` sees their values.
    - `per_position = True`: `call` returns a loss for each position, of shape `outputs.shape[:-1]`; a weight per sample
      then counts for all positions of the sample.
    - `uses_labels = True`: `call` gets the pair `(teacher, labels)` as its first argument if there are labels.

    Args:
        weight: factor of this loss in the total loss, finite and not negative: a number, or a schedule (any callable
            from the training step to a number, such as a Keras learning rate schedule).
        name: name of the loss.

    Raises:
        TypeError: `weight` is neither a number nor callable.
        ValueError: `weight` is negative or not finite.

    Example:

    >>> import keras, numpy as np
    >>> from tfopt.distillation import DistillationLoss
    >>> class Difference(DistillationLoss):
    ...     def call(self, teacher, student):
    ...         return keras.ops.mean(keras.ops.square(teacher - student), axis=-1)
    >>> print(float(Difference()(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))))
    2.5
    """

    scheduled: tuple[str, ...] = ("weight",)
    uses_labels = False
    per_position = False
    needs = "the same structure and shapes"
    way_out = "Give both models the same heads."

    def __init__(self, weight: Setting = 1.0, name: str | None = None) -> None:
        super().__init__(name=name, dtype="float32")
        self.weight = check_setting(type(self).__name__, "weight", weight)

    def call(self, teacher: Any, student: Any) -> Any:
        """The loss per sample or position, of shape `(batch, ...)`, for one pair of output tensors."""
        raise NotImplementedError(f"{type(self).__name__} must implement call(teacher, student).")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The weighted mean over samples for one pair of tensors; schedules are at step 0 outside of training."""
        return super(DistillationLoss, self.at(0)).__call__(y_true, y_pred, sample_weight)

    def at(self, step: Any) -> "DistillationLoss":
        """This loss as it is at a training step: schedules replaced by their values.

        Args:
            step: the optimizer's iterations, a number or scalar tensor.
        """
        settings = {name: getattr(self, name) for name in self.scheduled}
        if not any(map(callable, settings.values())):
            return self
        # Not copy.copy: it copies Keras objects through their config, which would build them again.
        twin = object.__new__(type(self))
        for name, value in {**vars(self), **settings}.items():
            setattr(twin, name, value_at(value, step) if name in settings else value)
        return twin

    def features(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names or paths of the layers that the loss reads, `(teacher's, student's)`; empty if it reads the outputs."""
        return (), ()

    def projections(self, teacher: list[Shape], student: list[Shape]) -> list[keras.Layer | None]:
        """New layers for the student's side of each pair of shapes, trained with it; None where none is needed."""
        return [None] * len(student)

    def check(self, teacher: Any, student: keras.Model) -> None:
        """Raises ValueError at construction if the models, as far as they are known, cannot be compared.

        Args:
            teacher: a built Keras layer or model, or anything else that a `Distiller` takes as a teacher.
            student: a Keras model, built or not.
        """
        outputs = [symbolic_outputs(model) for model in (teacher, student)]
        if None not in outputs and not self.features()[0]:
            self.pairs(*outputs)

    def compare(self, teacher: Any, student: Any, sample_weight: Any = None, labels: Any = None) -> Any:
        """The scalar loss of a batch: the sum over the models' outputs of the weighted mean over samples.

        Args:
            teacher: outputs of the teacher, a tensor or a nest of tensors; a list of features if `features` names any.
            student: outputs of the student, of the same structure.
            sample_weight: None, one array for all outputs, or a nest with one for each.
            labels: None, or the targets given to `fit`, one for each output.
        """
        pairs = self.pairs(teacher, student)
        weights = _one_each(sample_weight, len(pairs))
        targets = _one_each(labels if self.uses_labels else None, len(pairs))
        return sum(
            self(t if y is None else (t, y), s, _along_positions(w, s) if self.per_position else w)
            for (t, s), w, y in zip(pairs, weights, targets, strict=True)
        )

    def pairs(self, teacher: Any, student: Any) -> list[tuple[Any, Any]]:
        """The teacher's and the student's tensors side by side.

        Raises:
            ValueError: structures or shapes cannot be compared.
        """
        shapes = [_shapes(teacher), _shapes(student)]
        if [path for path, _ in shapes[0]] != [path for path, _ in shapes[1]] or not all(
            self.fits(t, s) for (_, t), (_, s) in zip(*shapes, strict=True)
        ):
            raise ValueError(
                f"{type(self).__name__} compares teacher and student one by one, so their outputs must have "
                f"{self.needs}. Got {_describe(shapes[0])} from the teacher and "
                f"{_describe(shapes[1])} from the student. {self.way_out}"
            )
        return list(zip(keras.tree.flatten(teacher), keras.tree.flatten(student), strict=True))

    def fits(self, teacher: Shape, student: Shape) -> bool:
        """Whether tensors of these shapes can be compared; None is a size that is not known yet."""
        return same_sizes(teacher, student)

    def get_config(self) -> dict[str, Any]:
        return {"weight": serialize_setting(self.weight), "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DistillationLoss":
        settings = {name: deserialize_setting(config[name]) for name in cls.scheduled if name in config}
        return cls(**{**config, **settings})


def symbolic_outputs(model: Any) -> Any:
    """The outputs of a model as Keras tensors (a nest of them), or None if unknown before the first batch."""
    known = getattr(model, "symbolic_outputs", None)
    if callable(known):
        return known()
    try:
        return capture(model).outputs
    except (TypeError, ValueError):
        return None


def symbolic_inputs(model: Any) -> Any:
    """The inputs of a Keras model as Keras tensors (a nest of them), or None if they are not known."""
    try:
        return capture(model).inputs
    except (TypeError, ValueError):
        return None


def same_sizes(a: Shape, b: Shape) -> bool:
    """Whether two shapes agree; None stands for a size that is not known yet, as in a batch dimension."""
    return len(a) == len(b) and all(i is None or j is None or i == j for i, j in zip(a, b, strict=True))


def _one_each(structure: Any, count: int) -> list[Any]:
    """One entry for each output: a single one is used for all."""
    leaves = keras.tree.flatten(structure)
    return leaves if len(leaves) == count else leaves[:1] * count


def _along_positions(weight: Any, outputs: Any) -> Any:
    """A weight per sample, in the rank of a loss per position: Keras would multiply it with the last positions."""
    missing = 0 if weight is None else len(outputs.shape) - 1 - len(weight.shape)
    return ops.reshape(weight, (*ops.shape(weight), *(1,) * missing)) if missing > 0 else weight


def _shapes(outputs: Any) -> list[tuple[tuple, Shape]]:
    leaves = keras.tree.flatten_with_path(keras.tree.lists_to_tuples(outputs))
    if len(leaves) == 1:
        # A model of a single output may return it in a list: legacy .h5 models do, and so do their quantized copies.
        return [((), tuple(leaves[0][1].shape))]
    return [(path, tuple(tensor.shape)) for path, tensor in leaves]


def _describe(shapes: list[tuple[tuple, Shape]]) -> str:
    return ", ".join(f"{'/'.join(map(str, path))}: {shape}" if path else str(shape) for path, shape in shapes)
