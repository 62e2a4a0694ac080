"""Whether the distillation losses read the outputs as the loss given to `compile` does."""

from collections.abc import Sequence
from typing import Any

import keras

from tfopt.distillation._outputs import OutputOf
from tfopt.distillation.losses._class_loss import ClassLoss
from tfopt.distillation.losses._output_kinds import INSTEAD, columns_of, supervised_kind


def check_supervision(
    compiled: Any, student: keras.Model, losses: Sequence[Any], outputs: Sequence[str | None]
) -> None:
    """Raise if a loss over classes or labels reads raw outputs that the student's own loss takes for something else.

    Probabilities may be trained by any loss; raw outputs are what their loss takes them for. A loss over classes does
    not see an offset of all of them, so that a regression would be taught nothing of its level.

    Args:
        compiled: the loss given to `compile`.
        student: the model to train.
        losses: the distillation losses.
        outputs: for each, the output that it reads; None for all.

    Raises:
        ValueError: one does; the message names the loss that suits the output.
    """
    for loss, output in zip(losses, outputs, strict=True):
        if not isinstance(loss, ClassLoss) or not loss.from_logits:
            continue
        kinds = {supervised_kind(one) for one in _of_output(compiled, output)}
        columns = columns_of(student if output is None else OutputOf(student, output, "student"))
        if len(kinds) != 1 or (kind := kinds.pop()) in (None, loss.output_kind):
            continue
        if kind == "labels" and columns and set(columns) == {1}:
            continue  # a binary classifier: one label is two classes
        raise ValueError(
            f"{type(loss).__name__} compares {_READS[loss.output_kind]}, but the loss given to compile takes the "
            f"outputs of the student {student.name!r} for {_READS[str(kind)]}. {INSTEAD[str(kind)]}"
        )


_READS = {"classes": "logits over classes", "labels": "logits of independent labels", "values": "values"}


def _of_output(compiled: Any, output: str | None) -> list[Any]:
    """The losses of `compile` for one output, or for all."""
    if isinstance(compiled, (dict, list, tuple)):
        by_name = compiled if isinstance(compiled, dict) else dict(enumerate(compiled))
        return [loss for name, loss in by_name.items() if output in (None, str(name))]
    return [compiled]
