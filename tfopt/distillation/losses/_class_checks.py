"""Whether two models return what a loss over classes was told: probabilities, logits, or neither."""

from typing import Any

from tfopt.distillation.losses._output_kinds import (
    INSTEAD,
    columns_of,
    last_activations,
    makes_logits,
    makes_values,
)


def check_activations(loss: Any, teacher: Any, student: Any) -> None:
    """Raise if a model's last activation contradicts what a `ClassLoss` was told of its outputs.

    Raises:
        ValueError: it does; the message says which arguments suit the two models.
    """
    models = {"teacher": teacher, "student": student}
    activations = {role: last_activations(model) for role, model in models.items()}
    wrong = {
        role: activation
        for role, found in activations.items()
        for activation in found
        if makes_values(activation) or makes_logits(activation) not in (None, loss.has_logits(role))
    }
    for role, activation in wrong.items():
        _refuse(loss, f"{role} {getattr(models[role], 'name', '')!r}", role, str(activation), tuple(wrong))


def _refuse(loss: Any, who: str, role: str, activation: str, wrong: tuple[str, ...]) -> None:
    name = type(loss).__name__
    if makes_values(activation):
        raise ValueError(
            f"{name} compares probabilities or logits, but the {who} ends in {activation!r}, which makes values. "
            f"{INSTEAD['values']}"
        )
    said = "from_logits" if role == "student" or loss.teacher_from_logits is None else "teacher_from_logits"
    if makes_logits(activation):
        raise ValueError(
            f"{name} has {said}=False, but the {who} ends in {activation!r}, so it returns logits or values and "
            f"not probabilities. Pass {_arguments(loss, wrong)} for logits. {INSTEAD['values']}"
        )
    raise ValueError(
        f"{name} has {said}=True, but the {who} ends in {activation!r}, so it returns probabilities and would be "
        f"softmaxed twice. Pass {_arguments(loss, wrong)}."
    )


def _arguments(loss: Any, wrong: tuple[str, ...]) -> str:
    """The arguments with which the loss fits both models, if those of the roles in `wrong` are the opposite."""
    teacher, student = (loss.has_logits(role) != (role in wrong) for role in ("teacher", "student"))
    both = f"from_logits={student}"
    return both if teacher == student else f"{both} and teacher_from_logits={teacher}"


def check_columns(loss: Any, teacher: Any, student: Any) -> None:
    """Raise if a model returns independent labels where the loss is over classes, or the other way round.

    Raises:
        ValueError: it does.
    """
    for role, model in (("teacher", teacher), ("student", student)):
        who = f"{role} {getattr(model, 'name', '')!r}"
        columns = columns_of(model)
        for activation, count in zip(last_activations(model), columns, strict=False):
            if activation == "sigmoid" and loss.output_kind == "classes" and count != 1:
                raise ValueError(
                    f"{type(loss).__name__} compares distributions over classes, but the {who} ends in {count} "
                    f"independent 'sigmoid' columns. {INSTEAD['labels']}"
                )
            if activation == "softmax" and loss.output_kind == "labels":
                raise ValueError(
                    f"{type(loss).__name__} compares independent labels, but the {who} ends in a 'softmax' over "
                    f"{count} classes. {INSTEAD['classes']}"
                )
