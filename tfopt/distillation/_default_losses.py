"""The losses of a Distiller that was given none: what suits each output of the student."""

from typing import Any

import keras

from tfopt.distillation._outputs import pick
from tfopt.distillation.losses._binary_soft_targets import BinarySoftTargets
from tfopt.distillation.losses._loss import DistillationLoss, symbolic_outputs
from tfopt.distillation.losses._output_kinds import (
    INSTEAD,
    columns_of,
    last_activations,
    makes_logits,
    makes_values,
    supervised_kind,
)
from tfopt.distillation.losses._output_matching import OutputMatching
from tfopt.distillation.losses._soft_targets import SoftTargets


def default_losses(student: keras.Model, teacher: Any) -> Any:
    """A loss for each output of the student: by its last activation and, where that may be both, its compiled loss.

    | the output ends in | the student was compiled with | loss |
    |---|---|---|
    | softmax, or sigmoid with one column | anything | `SoftTargets` |
    | sigmoid with several columns | anything | `BinarySoftTargets` |
    | relu, tanh and others that make values | anything | `OutputMatching` |
    | no activation | a crossentropy over classes | `SoftTargets(from_logits=True)` |
    | no activation | binary crossentropy | the same, or `BinarySoftTargets(from_logits=True)` for several columns |
    | no activation | mean squared error, Huber and the like | `OutputMatching` |

    Args:
        student: the model to train.
        teacher: as the `Distiller` takes it. Where it returns probabilities and the student logits, or the other way
            round, the loss is told.

    Returns:
        A list with one loss where all outputs take the same, else a dict from output to loss.

    Raises:
        ValueError: an output without activation may hold logits or values, and no loss says which.

    >>> import keras
    >>> from tfopt.distillation._default_losses import default_losses
    >>> inputs = keras.Input((4,))
    >>> heads = {"box": keras.layers.Dense(4)(inputs), "tags": keras.layers.Dense(3, "sigmoid")(inputs)}
    >>> model = keras.Model(inputs, heads)
    >>> model.compile(loss={"box": "mse", "tags": "binary_crossentropy"})
    >>> {output: type(loss).__name__ for output, loss in default_losses(model, None).items()}
    {'box': 'OutputMatching', 'tags': 'BinarySoftTargets'}
    """
    outputs = symbolic_outputs(student)
    if outputs is None:
        return [SoftTargets()]
    names = _names(outputs)
    activations = last_activations(student)
    teachers = last_activations(teacher)
    teachers = teachers if len(teachers) == len(names) else [None] * len(names)
    losses = {
        name: _loss_for(student, name, activation, columns, makes_logits(of_teacher))
        for name, activation, columns, of_teacher in zip(
            names, activations, columns_of(student), teachers, strict=True
        )
    }
    first = next(iter(losses.values()))
    if all(type(loss) is type(first) and loss.get_config() == first.get_config() for loss in losses.values()):
        return [first]
    return losses


def _names(outputs: Any) -> list[str]:
    """What `losses={...}` calls the outputs, in the order in which they are flattened."""
    if isinstance(outputs, dict):
        return sorted(map(str, outputs))
    return [str(index) for index in range(len(keras.tree.flatten(outputs)))]


def _loss_for(
    student: keras.Model, name: str, activation: str | None, columns: int | None, teacher_logits: bool | None
) -> DistillationLoss:
    logits = makes_logits(activation)
    kind = "values" if makes_values(activation) else "classes"
    if logits:
        kind = _kind_of_linear(student, name)
    elif activation == "sigmoid" and columns != 1:
        kind = "labels"
    if kind == "labels" and columns == 1:
        kind = "classes"
    if kind == "values":
        return OutputMatching()
    differs = None if teacher_logits in (None, bool(logits)) else teacher_logits
    make = SoftTargets if kind == "classes" else BinarySoftTargets
    return make(from_logits=bool(logits), teacher_from_logits=differs)


def _kind_of_linear(student: keras.Model, name: str) -> str:
    compiled = pick(student.loss, name, "student") if student.compiled else None
    kind = supervised_kind(compiled)
    if kind is None:
        raise ValueError(
            f"The 'losses' argument of Distiller must be given for the student {student.name!r}: it ends in 'linear', "
            "so it may return logits or values, and it is not compiled with a loss of Keras that says which. Pass "
            "losses=[tfopt.SoftTargets(from_logits=True)] for logits over classes, BinarySoftTargets(from_logits=True) "
            f"for those of independent labels. {INSTEAD['values']}"
        )
    return kind
