"""Teachers: a model, any callable, or several of them. There is an adapter for each, chosen by type in one table."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import ops

from tfopt.distillation._layer_paths import find_tap
from tfopt.distillation._taps import feature_specs, run_with_taps
from tfopt.distillation.losses._loss import DistillationLoss, symbolic_outputs
from tfopt.graph import capture, flatten_layers


@dataclasses.dataclass(frozen=True)
class Lesson:
    """What a teacher gets in one training step.

    Attributes:
        inputs: the batch of inputs, as the student gets it.
        attached: what a teacher cache attached to them, or None.
        student: the student's outputs.
        student_features: the student's features by name, for a student that teaches itself.
    """

    inputs: Any
    attached: Any
    student: Any
    student_features: dict[str, Any]


class Teacher:
    """Base of the teachers: the methods that the Distiller calls.

    `source` is the object that the user gave.
    """

    reads_student = False  # whether features come from the student's own forward pass
    scheduled: tuple[str, ...] = ()  # attributes that may be schedules

    def __init__(self, source: Any) -> None:
        self.source = source

    def prepare(self, student: keras.Model, features: Sequence[str]) -> keras.Layer | None:
        """Called once by the Distiller; may return a layer whose weights are to be saved with it."""
        if features:
            raise ValueError(
                f"A loss reads the layers {list(features)} of the teacher, but a {type(self.source).__name__} has no "
                "layers to read. Use losses over outputs, or a Keras model as the teacher."
            )
        return None

    def follow(self, step: Any) -> None:
        """Called at the start of each training step, before `teach`, for a teacher that changes."""

    def teach(self, lesson: Lesson) -> tuple[Any, dict[str, Any]]:
        """The outputs and the features by name."""
        raise NotImplementedError

    def feature_specs(self) -> dict[str, Any]:
        """The features' shapes by name."""
        return {}

    def layers(self) -> list[keras.Layer]:
        """The Keras layers that run when it teaches, beside the student's."""
        return []


class ModelTeacher(Teacher):
    """A Keras model or layer, run in inference mode."""

    def prepare(self, student: keras.Model, features: Sequence[str]) -> None:
        self.taps = {name: find_tap(self.source, name, "teacher") for name in features}

    def teach(self, lesson: Lesson) -> tuple[Any, dict[str, Any]]:
        outputs, features = run_with_taps(
            self.source, list(self.taps.values()), lesson.inputs, training=False
        )
        return outputs, dict(zip(self.taps, features, strict=True))

    def feature_specs(self) -> dict[str, Any]:
        return tap_specs(self.source, self.taps, "teacher", training=False)

    def layers(self) -> list[keras.Layer]:
        return flatten_layers(self.source)


class FunctionTeacher(Teacher):
    """Any callable from inputs to outputs."""

    def teach(self, lesson: Lesson) -> tuple[Any, dict[str, Any]]:
        return self.source(lesson.inputs), {}


class EnsembleTeacher(Teacher):
    """Several teachers, whose outputs are averaged: logits or probabilities, whichever they return."""

    def __init__(self, source: Sequence[Any]) -> None:
        super().__init__(source)
        self.members = [as_teacher(member) for member in source]
        known = [outputs for outputs in map(symbolic_outputs, source) if outputs is not None]
        for outputs in known[1:]:
            _SameOutputs(name="An ensemble of teachers").pairs(known[0], outputs)

    def prepare(self, student: keras.Model, features: Sequence[str]) -> None:
        super().prepare(student, features)
        for member in self.members:
            if member.prepare(student, ()) is not None:
                raise TypeError(
                    f"The 'teacher' argument of Distiller lists a {type(member.source).__name__}, which must be the "
                    "only teacher. Pass it alone."
                )

    def teach(self, lesson: Lesson) -> tuple[Any, dict[str, Any]]:
        outputs = [member.teach(lesson)[0] for member in self.members]

        def average(*tensors: Any) -> Any:
            return sum(ops.cast(tensor, "float32") for tensor in tensors) / len(tensors)

        return keras.tree.map_structure(average, *outputs), {}

    def layers(self) -> list[keras.Layer]:
        return list({id(layer): layer for member in self.members for layer in member.layers()}.values())


class _SameOutputs(DistillationLoss):
    way_out = "All teachers of an ensemble need the same outputs."


# Type of an object -> its adapter; the first that fits is used. Other modules add their own.
TEACHERS: list[tuple[type, Callable[[Any], Teacher]]] = [
    (list, EnsembleTeacher),
    (tuple, EnsembleTeacher),
    (keras.Layer, ModelTeacher),
]


def as_teacher(source: Any) -> Teacher:
    """The adapter for the teacher that the user gave."""
    if isinstance(source, Teacher):
        return source
    for kind, make in TEACHERS:
        if isinstance(source, kind):
            return make(source)
    return FunctionTeacher(source)


def tap_specs(model: keras.Model, taps: dict[str, Any], role: str, training: bool) -> dict[str, Any]:
    """The shapes of a model's features by name.

    Raises:
        ValueError: the model's inputs are not known, or it cannot run on symbolic ones.
    """
    if not taps:
        return {}
    try:
        inputs = keras.tree.map_structure(
            lambda t: keras.KerasTensor(t.shape, t.dtype), capture(model).inputs
        )
    except ValueError as error:
        raise ValueError(
            f"The shapes of the features of the {role} {model.name!r} are not known: {error} "
            "A loss over features needs them before the first batch."
        ) from error
    return dict(zip(taps, feature_specs(model, list(taps.values()), inputs, training), strict=True))


def flat_teachers(source: Any) -> Iterator[Any]:
    """The single teachers of a teacher argument."""
    if isinstance(source, (list, tuple)):
        for member in source:
            yield from flat_teachers(member)
    else:
        yield source
