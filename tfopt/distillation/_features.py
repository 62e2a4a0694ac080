"""The plan of one distillation: which features the losses read, where they come from, and what maps them."""

from collections.abc import Sequence
from typing import Any

import keras

from tfopt.distillation._layer_paths import find_tap
from tfopt.distillation.losses._loss import DistillationLoss
from tfopt.distillation.teachers._teachers import Teacher, tap_specs


class FeaturePlan:
    """Which features the losses read. The Distiller makes it once, from models and losses that passed their own checks.

    Args:
        student: the model to train.
        teacher: the adapter of the teacher.
        losses: the distillation losses.

    Raises:
        ValueError: a layer is not found, or two features cannot be compared.
    """

    def __init__(self, student: keras.Model, teacher: Teacher, losses: Sequence[DistillationLoss]) -> None:
        self.teacher = teacher
        self.losses = list(losses)
        asked = [loss.features() for loss in losses]
        of_teacher = _distinct(name for names, _ in asked for name in names)
        of_student = _distinct(name for _, names in asked for name in names)
        if teacher.reads_student:
            of_student = _distinct([*of_student, *of_teacher])
        self.teacher_state = teacher.prepare(student, of_teacher)
        self.student_taps = {name: find_tap(student, name, "student") for name in of_student}
        self.projections: dict[str, keras.Layer] = {}
        self._project(
            teacher.feature_specs(), tap_specs(student, self.student_taps, "student", training=True)
        )

    @property
    def has_schedules(self) -> bool:
        """Whether anything depends on the number of the training step."""
        owners: list[Any] = [*self.losses, self.teacher]
        return any(callable(getattr(one, name)) for one in owners for name in one.scheduled)

    def _project(self, teacher_specs: dict[str, Any], student_specs: dict[str, Any]) -> None:
        for index, loss in enumerate(self.losses):
            teacher_names, student_names = loss.features()
            teacher = [teacher_specs[name] for name in teacher_names]
            student = [student_specs[name] for name in student_names]
            if not teacher:
                continue
            loss.pairs(teacher, student)
            layers = loss.projections([t.shape for t in teacher], [s.shape for s in student])
            for position, layer in enumerate(layers):
                if layer is not None:
                    layer.build(student[position].shape)
                    self.projections[f"{index}_{position}"] = layer

    def views(self, index: int, teacher: tuple[Any, dict], student: tuple[Any, dict]) -> tuple[Any, Any]:
        """What a loss compares: both models' outputs, or the lists of features that it needs.

        Args:
            index: the loss's number.
            teacher: outputs and features by name.
            student: likewise.
        """
        teacher_names, student_names = self.losses[index].features()
        if not teacher_names:
            return teacher[0], student[0]
        projected = [
            self.projections[key](student[1][name])
            if (key := f"{index}_{position}") in self.projections
            else student[1][name]
            for position, name in enumerate(student_names)
        ]
        return [teacher[1][name] for name in teacher_names], projected


def _distinct(names: Any) -> list[str]:
    return list(dict.fromkeys(names))
