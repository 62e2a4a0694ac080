"""Students that teach themselves: through the average of their past weights, or from deeper to shallower exits."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfopt.distillation._layer_paths import find_tap
from tfopt.distillation._settings import (
    Setting,
    check_setting,
    deserialize_setting,
    serialize_setting,
    value_at,
)
from tfopt.distillation._taps import run_with_taps
from tfopt.distillation.teachers._teachers import Lesson, Teacher, tap_specs


class _Average(keras.layers.Layer):
    """Holds the averaged weights, so that the Distiller saves them."""

    def __init__(self, weights: list[keras.Variable]) -> None:
        super().__init__(name="ema_teacher", dtype="float32", trainable=False)
        # Named by number: many layers have a "kernel".
        self.averages = [
            self.add_weight(
                shape=weight.shape,
                dtype="float32",
                initializer="zeros",
                trainable=False,
                aggregation="only_first_replica",  # all replicas compute the same average
                name=f"average_{index}",
            )
            for index, weight in enumerate(weights)
        ]
        self.built = True
        for average, weight in zip(self.averages, weights, strict=True):
            # A copy: JAX gives the buffers of all variables to its compiled step, each of them once.
            average.assign(ops.copy(ops.cast(ops.convert_to_tensor(weight), "float32")))


@keras.saving.register_keras_serializable(package="tfopt")
class EMATeacher(Teacher):
    """The student itself, with the exponential moving average of its weights, as a teacher.

    It needs no trained teacher, and is useful with few labels: its outputs vary less than the student's. Before each
    step

        average <- decay * average + (1 - decay) * weight

    for every trainable weight (Tarvainen & Valpola 2017, "Mean teachers are better role models", arXiv 1703.01780);
    other variables, such as batch norm's statistics, are the student's own. It starts from the student's weights at
    construction of the `Distiller`, is saved with it, and costs one more forward pass a step, in inference mode.

    Args:
        decay: how much of the average is kept, in [0, 1): a number or a schedule of the training step. 0.99 to 0.999
            are usual.

    Raises:
        ValueError: `decay` is not in [0, 1), or (from the `Distiller`) the student is not built.
        TypeError: `decay` is neither a number nor callable.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> student = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3, "softmax")])
    >>> distiller = tfopt.Distiller(student, tfopt.distillation.EMATeacher(decay=0.9))
    >>> distiller.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    >>> logs = distiller.fit(np.ones((16, 8)), np.zeros(16), epochs=2, verbose=0).history
    >>> [loss > 1e-6 for loss in logs["distillation_loss"]]  # one step an epoch: at first both are equal
    [False, True]
    """

    scheduled = ("decay",)

    def __init__(self, decay: Setting = 0.999) -> None:
        super().__init__(self)
        self.decay = check_setting("EMATeacher", "decay", decay)
        if not callable(decay) and decay >= 1:
            raise ValueError(
                f"The 'decay' argument of EMATeacher must be below 1. Got {decay} instead. With 1 the average never "
                "moves; 0.999 follows the last thousand steps."
            )

    def prepare(self, student: keras.Model, features: Sequence[str]) -> keras.Layer:
        if not student.built:
            raise ValueError(
                f"The student {student.name!r} must be built before EMATeacher can average its weights. "
                "Call it once on a batch of inputs."
            )
        self.student = student
        self.taps = {name: find_tap(student, name, "teacher") for name in features}
        self.average = _Average(student.trainable_variables)
        return self.average

    def follow(self, step: Any) -> None:
        """Moves the averages towards the student's weights."""
        decay = value_at(self.decay, step)
        for average, weight in zip(self.average.averages, self.student.trainable_variables, strict=True):
            weight = ops.cast(ops.convert_to_tensor(weight), "float32")
            average.assign(decay * average + (1.0 - decay) * weight)

    def teach(self, lesson: Lesson) -> tuple[Any, dict[str, Any]]:
        def averaged(inputs: Any) -> Any:
            averages = [ops.convert_to_tensor(average) for average in self.average.averages]
            own = [ops.convert_to_tensor(variable) for variable in self.student.non_trainable_variables]
            return self.student.stateless_call(averages, own, inputs, training=False)[0]

        outputs, features = run_with_taps(averaged, list(self.taps.values()), lesson.inputs)
        return outputs, dict(zip(self.taps, features, strict=True))

    def feature_specs(self) -> dict[str, Any]:
        return tap_specs(self.student, self.taps, "teacher", training=False)

    def symbolic_outputs(self) -> None:
        """None, because the student may not be built yet; they have the structure of the student's own outputs."""
        return None

    def get_config(self) -> dict[str, Any]:
        return {"decay": serialize_setting(self.decay)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EMATeacher":
        return cls(deserialize_setting(config["decay"]))


@keras.saving.register_keras_serializable(package="tfopt")
class SelfDistillation(Teacher):
    """The deeper exits of a student with several outputs, as teachers of its shallower ones.

    It needs no other model and no second forward pass, and gives a network that can stop at an early exit. In place of
    a teacher's outputs the losses get, for each exit of the student, the output of the exit that teaches it (Zhang et
    al. 2019, "Be Your Own Teacher", arXiv 1905.08094), through which no gradient flows. An exit without a teacher is
    compared with itself, which adds nothing to the loss. Losses over features compare two layers of the student.

    Args:
        pairs: for each exit to be taught the exit that teaches it, by name in a student that returns a dict and by
            number from 0 in one that returns a list. None lets the last output teach all others.

    Raises:
        ValueError: `pairs` is empty or, at the first batch, names an output that the student does not have.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> inputs = keras.Input((8,))
    >>> hidden = keras.layers.Dense(6, "relu")(inputs)
    >>> early = keras.layers.Dense(3, "softmax")(hidden)
    >>> late = keras.layers.Dense(3, "softmax")(keras.layers.Dense(6, "relu")(hidden))
    >>> student = keras.Model(inputs, {"early": early, "late": late})
    >>> distiller = tfopt.Distiller(student, tfopt.distillation.SelfDistillation({"early": "late"}))
    >>> distiller.compile("sgd", {"late": "sparse_categorical_crossentropy"})
    >>> logs = distiller.train_on_batch(np.ones((4, 8)), {"early": np.zeros(4), "late": np.zeros(4)}, return_dict=True)
    >>> logs["distillation_loss"] > 0
    True
    """

    reads_student = True

    def __init__(self, pairs: dict[str, str] | dict[int, int] | None = None) -> None:
        super().__init__(self)
        if pairs is not None and not pairs:
            raise ValueError(
                "The 'pairs' argument of SelfDistillation must hold at least one exit to be taught. Got {} instead. "
                "Leave it out to let the last output teach all others."
            )
        self.exits = pairs

    def prepare(self, student: keras.Model, features: Sequence[str]) -> None:
        self.student, self.names = student, tuple(features)

    def teach(self, lesson: Lesson) -> tuple[Any, dict[str, Any]]:
        outputs = lesson.student
        if not isinstance(outputs, (dict, list, tuple)) or len(outputs) < 2:
            raise ValueError(
                "SelfDistillation needs a student with several outputs, of which one teaches another. Got one output. "
                "Add an exit, or use EMATeacher."
            )
        keys = list(outputs) if isinstance(outputs, dict) else list(range(len(outputs)))
        teacher_of = dict.fromkeys(keys, keys[-1])
        if self.exits is not None:
            teacher_of = {key: key for key in keys} | dict(self.exits)
        unknown = [key for key in (*teacher_of, *teacher_of.values()) if key not in keys]
        if unknown:
            raise ValueError(
                f"The 'pairs' argument of SelfDistillation names the output {unknown[0]!r}, which the student does not "
                f"have. Its outputs are {keys}."
            )
        taught = [outputs[teacher_of[key]] for key in keys]
        packed = dict(zip(keys, taught, strict=True)) if isinstance(outputs, dict) else taught
        return packed, {name: lesson.student_features[name] for name in self.names}

    def feature_specs(self) -> dict[str, Any]:
        taps = {name: find_tap(self.student, name, "teacher") for name in self.names}
        return tap_specs(self.student, taps, "teacher", training=True)

    def symbolic_outputs(self) -> None:
        """None: they are those of the student."""
        return None

    def get_config(self) -> dict[str, Any]:
        exits = self.exits
        return {"pairs": None if exits is None else [list(pair) for pair in exits.items()]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SelfDistillation":
        pairs = config["pairs"]
        return cls(None if pairs is None else {key: value for key, value in pairs})
