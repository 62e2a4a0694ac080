"""The Distiller: a Keras model that is the student, plus what a teacher adds to its training loss."""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import ops

from tfopt._replicas import replicas
from tfopt.distillation._attached import split_attached
from tfopt.distillation._checks import check_losses, check_models, check_preprocess
from tfopt.distillation._default_losses import default_losses
from tfopt.distillation._features import FeaturePlan
from tfopt.distillation._outputs import OutputOf, flat_losses, pick
from tfopt.distillation._serialize import serialize_losses, serialize_model, serialize_teacher
from tfopt.distillation._supervision import check_supervision
from tfopt.distillation._taps import run_with_taps
from tfopt.distillation.losses._loss import DistillationLoss
from tfopt.distillation.teachers._teachers import Lesson, as_teacher, flat_teachers


@dataclasses.dataclass(frozen=True)
class _Untracked:
    """Keeps the teacher, and the plan that refers to it, out of Keras' tracking.

    A tracked teacher would be a sublayer: trained, regularized, pruned by callbacks and frozen by
    `distiller.trainable = False`, which reaches into the user's own object.
    """

    teacher: Any
    plan: FeaturePlan
    preprocess: Callable[[Any], Any] | None
    # Features and number of the running step: each replica of a MirroredStrategy runs in its own thread.
    step: threading.local = dataclasses.field(default_factory=threading.local)


@keras.saving.register_keras_serializable(package="tfopt")
class Distiller(keras.Model):
    """Trains a student model with the help of a teacher, inside the ordinary `compile` and `fit`.

    Calling, predicting with or evaluating a Distiller does the same with its student, and `compile` takes the same
    arguments as the student's. Only `fit` differs; it minimizes

        student_loss_weight * L + P + sum of loss.weight * loss(teacher(x), student(x)) over losses

    where `L` is the loss given to `compile` (none is needed) and `P` the student's regularizers and `add_loss`
    terms. `sample_weight` and `class_weight` apply to `L` and to each distillation loss alike. The logs of `fit`
    show `student_loss` (`L + P`: what the student alone would report as its loss) and `distillation_loss` (the
    weighted sum over losses). `evaluate`, and so `val_loss`, is `L + P` without running the teacher, so it can be
    compared with that of a student trained alone.

    The student and the teacher each run once per step, the teacher in inference mode and without gradient. The teacher
    is not changed, not even its `trainable` flags, and may have another dtype policy than the student. Losses over
    features (such as `FeatureMatching`) read layers of both models in these same runs, by name or path. Afterwards
    `distiller.student` is the plain trained model; the projections of features that some losses learn belong to the
    Distiller.

    Coming from `keras.distillation.Distiller(student_loss_weight=a)`: pass `student_loss_weight=a` and give the
    distillation losses weights that sum to `1 - a`.

    Args:
        student: the Keras model to train.
        teacher: a built Keras model, or any callable from inputs to outputs; a list of these, whose outputs are
            averaged; a `TeacherCache`, which replaces the running teacher; an `EMATeacher` or `SelfDistillation`, by
            which the student teaches itself. To save a Distiller whose teacher is a plain function, register it with
            `keras.saving.register_keras_serializable`.
        losses: the `DistillationLoss` objects to add up; those of `keras.distillation` are accepted too. Their weights
            and temperatures may be schedules of the optimizer's step. A loss over outputs reads all of them; if they
            are of several kinds, pass a dict from output to loss (or list of losses), as to `compile`:
            `{"kind": SoftTargets(), "box": BoundedRegression()}`, or with numbers from 0 for models that return
            lists. Outputs that are not in it are not compared. By default what suits each output: `SoftTargets` for
            classes, `BinarySoftTargets` for independent labels, `OutputMatching` for values, as its last activation
            says or, where it has none, the loss that the student is compiled with.
        student_loss_weight: factor of the loss given to `compile`; finite and not negative. With 0 the student learns
            from the teacher only, not from the labels.
        name: name of the model.
        preprocess: what turns the student's inputs into the teacher's, where these differ in size or in scale: a Keras
            layer without weights, such as `keras.layers.Resizing(224, 224)`, or a function, registered with
            `keras.saving.register_keras_serializable` to be saved. Not for a `TeacherCache`, whose teacher has run.

    Raises:
        TypeError: an argument is not of the kind described above.
        ValueError: `student_loss_weight` is negative, `losses` is empty, the teacher is not built or is the
            student itself, or a loss cannot compare the two models (different shapes, a missing layer or output, or
            probabilities where logits are expected); the teacher takes other inputs than `preprocess` makes; or, from
            `fit`, a loss takes the outputs for another thing than the loss given to `compile` does.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> def classifier(units):
    ...     layers = [keras.Input((8,)), keras.layers.Dense(units, "relu"), keras.layers.Dense(3, "softmax")]
    ...     return keras.Sequential(layers)
    >>> teacher = classifier(32)  # a trained one in real life
    >>> distiller = tfopt.Distiller(classifier(4), teacher, losses=[tfopt.SoftTargets(temperature=4.0)])
    >>> distiller.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    >>> x, y = np.ones((16, 8)), np.zeros(16)
    >>> logs = distiller.fit(x, y, verbose=0).history
    >>> sorted(logs)
    ['accuracy', 'distillation_loss', 'loss', 'student_loss']
    >>> distiller.student.count_params()
    51
    """

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model | Callable[[Any], Any],
        losses: Sequence[DistillationLoss] | dict[str, Any] | None = None,
        student_loss_weight: float = 1.0,
        name: str | None = None,
        preprocess: Callable[[Any], Any] | None = None,
    ) -> None:
        outputs: list[str | None] = []
        check_models(student, teacher)
        check_preprocess(student, teacher, preprocess)
        losses = default_losses(student, teacher) if losses is None else losses
        if isinstance(losses, (list, tuple, dict)):
            losses, outputs = flat_losses(losses)
        check_losses(losses, student_loss_weight)
        for loss, output in zip(losses, outputs, strict=True):
            if output is None:
                loss.check(teacher, student)
            else:
                loss.check(OutputOf(teacher, output, "teacher"), OutputOf(student, output, "student"))
        plan = FeaturePlan(student, as_teacher(teacher), losses)
        # The student's dtype policy decides whether compile() scales the loss, as mixed_float16 needs; the student
        # casts its inputs itself.
        super().__init__(name=name, dtype=student.dtype_policy, autocast=False)
        self.student = student
        self.distillation_losses = list(losses)
        self._loss_outputs = tuple(outputs)
        self.student_loss_weight = float(student_loss_weight)
        self.student_loss_tracker = keras.metrics.Mean(name="student_loss")
        self.distillation_loss_tracker = keras.metrics.Mean(name="distillation_loss")
        self._untracked = _Untracked(teacher, plan, preprocess)
        self._evaluating = False
        self.built = student.built
        self.supports_jit = all(layer.supports_jit for layer in plan.teacher.layers())
        # Trained and saved with the Distiller, but not part of the student.
        if plan.projections:
            self.projections = plan.projections
        if plan.teacher_state is not None:
            self.teacher_state = plan.teacher_state

    @property
    def teacher(self) -> Any:
        """The teacher, as it was given. Saving reads this property, so the teacher is saved too."""
        return self._untracked.teacher

    @property
    def non_trainable_variables(self) -> list[keras.Variable]:
        """The student's, and all variables of the teachers: on JAX the compiled step takes its variables from here."""
        own = super().non_trainable_variables
        teachers = [one for one in flat_teachers(self.teacher) if isinstance(one, keras.Layer)]
        known = {id(variable) for variable in self.variables}
        found = {id(variable): variable for one in teachers for variable in one.variables}
        return own + [variable for key, variable in found.items() if key not in known]

    @property
    def output_names(self) -> list[str]:
        """The names of the student's outputs, for dicts of losses and metrics in `compile`."""
        return self.student.output_names

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        inputs, _ = split_attached(inputs)
        taps = self._untracked.plan.student_taps
        if not training or not taps:
            return self.student(inputs, training=training)
        outputs, features = run_with_taps(self.student, list(taps.values()), inputs, training=training)
        self._untracked.step.features = dict(zip(taps, features, strict=True))
        return outputs

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The loss that `fit` minimizes (`training=True`) or that `evaluate` reports."""
        # The student's terms come first: a teacher that shares layers with it clears their add_loss terms.
        supervised = self.loss is not None
        student_loss = super().compute_loss(x, y, y_pred, sample_weight) if supervised else self._penalties()
        if not training:
            return student_loss
        total, weight = student_loss, self.student_loss_weight
        if weight != 1.0:
            # student_loss is L + P, and P must not be weighted: w * (L + P) + (1 - w) * P = w * L + P.
            total = weight * student_loss + (1.0 - weight) * self._penalties()
        taught = self._distillation_loss(x, y, y_pred, sample_weight)
        batch_size = ops.shape(keras.tree.flatten(y_pred)[0])[0]
        self.student_loss_tracker.update_state(student_loss * replicas(), sample_weight=batch_size)
        self.distillation_loss_tracker.update_state(taught * replicas(), sample_weight=batch_size)
        return total + taught

    def _penalties(self) -> Any:
        """The student's regularizers and add_loss terms, this replica's share."""
        total = sum((ops.sum(ops.cast(loss, "float32")) for loss in self.losses), start=ops.zeros(()))
        return total / replicas()

    def _distillation_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        plan = self._untracked.plan
        student_features = getattr(self._untracked.step, "features", {})
        step = self._step()
        plan.teacher.follow(step)
        inputs, attached = split_attached(x)
        if self._untracked.preprocess is not None:
            inputs = self._untracked.preprocess(inputs)
        lesson = Lesson(inputs, attached, y_pred, student_features)
        outputs, features = keras.tree.map_structure(ops.stop_gradient, plan.teacher.teach(lesson))
        total: Any = 0.0
        for index, (loss, output) in enumerate(zip(plan.losses, self._loss_outputs, strict=True)):
            teacher, student = plan.views(
                index,
                (pick(outputs, output, "teacher"), features),
                (pick(y_pred, output, "student"), student_features),
            )
            now = loss.at(step)
            weight, labels = (
                pick(part, output, who) for part, who in ((sample_weight, "sample_weight"), (y, "targets"))
            )
            total = total + now.weight * now.compare(teacher, student, weight, labels)
        return total

    def _step(self) -> Any:
        """The number of the training step, for schedules."""
        if not self._untracked.plan.has_schedules:
            return 0
        given = getattr(self._untracked.step, "number", None)
        return ops.convert_to_tensor(self.optimizer.iterations if given is None else given)

    def compute_loss_and_updates(self, *args: Any, **kwargs: Any) -> Any:
        """What Keras differentiates on the JAX backend, and calls on no other.

        Its compiled step gets the optimizer's variables as an argument. The step number is read from there: the
        optimizer's own would become a constant, and schedules would not advance.
        """
        values = kwargs.get("optimizer_variables")
        if values is not None:
            mapping = list(zip(self.optimizer.variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                self._untracked.step.number = ops.convert_to_tensor(self.optimizer.iterations)
        try:
            return super().compute_loss_and_updates(*args, **kwargs)
        finally:
            self._untracked.step.number = None

    def make_train_function(self, force: bool = False) -> Any:
        """As that of any model, once the losses are known to read the outputs as the loss given to `compile` does."""
        check_supervision(self.loss, self.student, self._untracked.plan.losses, self._loss_outputs)
        return super().make_train_function(force)

    def get_metrics_result(self) -> dict[str, Any]:
        logs = super().get_metrics_result()
        if self._evaluating:
            for tracker in (self.student_loss_tracker, self.distillation_loss_tracker):
                logs.pop(tracker.name)
        return logs

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As `student.evaluate`: the student's own loss and the metrics; the teacher does not run."""
        with self._evaluation():
            return super().evaluate(*args, **kwargs)

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """As `student.test_on_batch`."""
        with self._evaluation():
            return super().test_on_batch(*args, **kwargs)

    @contextlib.contextmanager
    def _evaluation(self) -> Iterator[None]:
        self._evaluating = True
        try:
            yield
        finally:
            self._evaluating = False

    def get_config(self) -> dict[str, Any]:
        return {
            "student": serialize_model(self.student),
            "teacher": serialize_teacher(self.teacher),
            "losses": serialize_losses(self.distillation_losses, self._loss_outputs),
            "student_loss_weight": self.student_loss_weight,
            "name": self.name,
            "preprocess": keras.saving.serialize_keras_object(self._untracked.preprocess),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "Distiller":
        parts: dict[str, Any] = {
            key: keras.saving.deserialize_keras_object(config[key], custom_objects=custom_objects)
            for key in ("student", "teacher", "losses", "preprocess")
            if key in config
        }
        return cls(**{**config, **parts})
