"""The teacher cache: a teacher's outputs for each sample, read instead of computed."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt.distillation._attached import attach
from tfopt.distillation.teachers._cached_data import attach_to
from tfopt.distillation.teachers._fingerprint import hash_samples, hash_teacher
from tfopt.distillation.teachers._store import Store
from tfopt.distillation.teachers._teachers import Lesson, Teacher, flat_teachers
from tfopt.distillation.teachers._top_k import expand


@keras.saving.register_keras_serializable(package="tfopt")
class TeacherCache(Teacher):
    """A teacher's outputs on disk, as a teacher: the model itself is not needed to train.

    `cache_teacher` writes it. The outputs of a sample are found by a fingerprint of its values, wherever the sample
    is: data may be shuffled, split, repeated and batched as one likes, before or after `attach`. A sample that the
    teacher has not seen is an error, so data that changed since, or is augmented at random, is never paired with the
    wrong outputs.

    Args:
        directory: the folder that `cache_teacher` filled.

    Raises:
        ValueError: the folder holds no cache, or one that is not complete; a feature is needed that was not cached;
            data is attached that the teacher has not seen; or `fit` gets data without `attach`.

    Example:

    >>> import keras, numpy as np, tempfile
    >>> from tfopt.distillation import Distiller, TeacherCache, cache_teacher
    >>> def classifier(units):
    ...     layers = [keras.Input((8,)), keras.layers.Dense(units, "relu"), keras.layers.Dense(3, "softmax")]
    ...     return keras.Sequential(layers)
    >>> folder = tempfile.TemporaryDirectory()
    >>> x, y = np.random.default_rng(0).normal(size=(64, 8)), np.zeros(64)
    >>> path = cache_teacher(classifier(32), x, folder.name, verbose=0).directory
    >>> cache = TeacherCache(path)  # later, in another program
    >>> len(cache)
    64
    >>> distiller = Distiller(classifier(4), teacher=cache)
    >>> distiller.compile("adam", "sparse_categorical_crossentropy")
    >>> sorted(distiller.fit(cache.attach(x), y, verbose=0).history)
    ['distillation_loss', 'loss', 'student_loss']
    >>> folder.cleanup()
    """

    def __init__(self, directory: str | os.PathLike) -> None:
        super().__init__(self)
        self.directory = str(directory)
        self.store = Store(Path(directory))
        if not self.store.manifest:
            raise ValueError(
                f"The 'directory' argument of TeacherCache must hold a teacher cache. Got {self.directory!r}, which "
                "has no manifest. Make one with tfopt.cache_teacher(teacher, dataset, directory)."
            )
        self.manifest: dict[str, Any] = self.store.manifest
        if not self.manifest["complete"]:
            raise ValueError(
                f"The teacher cache in {self.directory!r} is not complete: writing it was interrupted. Call "
                "tfopt.cache_teacher again with the same arguments, and it goes on from there."
            )
        samples = self.store.samples()
        self._order = np.argsort(samples, kind="stable")
        self._sorted = samples[self._order]

    def __len__(self) -> int:
        """The number of samples."""
        return len(self._sorted)

    @property
    def final_activation(self) -> str | None:
        """The activation that makes the teacher's first output, as far as it is known."""
        return self.manifest["identity"]["activation"]

    def attach(self, data: Any) -> Any:
        """The same data with the teacher's outputs for each sample, for `Distiller.fit`.

        Args:
            data: arrays as `fit` takes for `x` (only the inputs: `y` and `sample_weight` go to `fit` as always), a
                `tf.data.Dataset` (batched or not) or a `keras.utils.PyDataset`, of inputs or of tuples `(x, y)` or
                `(x, y, sample_weight)`.

        Returns:
            Data of the same kind. For arrays, the cached entries are read into memory; for data sets, batch by batch.

        Raises:
            TypeError: `data` is of another kind.
            ValueError: the teacher has not seen a sample (for data sets, when its batch is read).
        """
        return attach_to(data, self._lookup, self.manifest)

    def _lookup(self, inputs: Any) -> dict[str, Any]:
        """Inputs, samples first, with their entries."""
        hashes = hash_samples(inputs)
        places = np.minimum(np.searchsorted(self._sorted, hashes), len(self._sorted) - 1)
        unseen = np.flatnonzero(self._sorted[places] != hashes)
        if len(unseen):
            raise ValueError(
                f"The teacher cache in {self.directory!r} is stale for this data: the teacher has not seen "
                f"{len(unseen)} of {len(hashes)} samples, the first of which is number {unseen[0]}. Either the data "
                "has changed since (call tfopt.cache_teacher with a new directory), or it is augmented at random. "
                "Augment with seeds that repeat, a fixed set of seeds over the epochs, and cache the data of all of "
                "them; or put the augmentation inside the student model."
            )
        rows = self._order[places]
        return attach(inputs, {name: self.store.rows(name, rows) for name in self.manifest["entries"]})

    def check_teacher(self, teacher: Any) -> None:
        """Raises ValueError if the cache was made by another model, or by this one before it was trained further.

        Args:
            teacher: a Keras model, or the list of models of an ensemble.
        """
        if hash_teacher(list(flat_teachers(teacher))) != self.manifest["identity"]["teacher"]:
            raise ValueError(
                f"The teacher cache in {self.directory!r} is stale: it was made by a teacher with other layers or "
                "weights. Make a new one with tfopt.cache_teacher and another directory."
            )

    def prepare(self, student: keras.Model, features: Sequence[str]) -> None:
        missing = [name for name in features if name not in self.manifest["features"]]
        if missing:
            raise ValueError(
                f"A loss reads the layers {missing} of the teacher, which the cache in {self.directory!r} does not "
                f"hold. It holds {list(self.manifest['features']) or 'no features'}. Make one with "
                f"tfopt.cache_teacher(..., features={list(features)})."
            )

    def teach(self, lesson: Lesson) -> tuple[Any, dict[str, Any]]:
        entries = lesson.attached
        if entries is None or set(entries) != set(self.manifest["entries"]):
            raise ValueError(
                f"The Distiller's teacher is the cache in {self.directory!r}, but the batch does not carry its "
                "outputs. Pass cache.attach(x), or cache.attach(dataset), to fit."
            )
        outputs = [self._entry(name, entries) for name in sorted(self.manifest["outputs"], key=_number)]
        features = {layer: self._entry(name, entries) for layer, name in self.manifest["features"].items()}
        return fill(self.manifest["structure"], outputs), features

    def _entry(self, name: str, entries: dict[str, Any]) -> Any:
        classes = self.manifest["outputs"].get(name, {}).get("classes")
        if classes is None:
            return ops.cast(entries[name], "float32")
        values, kept, rest = (entries[f"{name}_{part}"] for part in ("values", "classes", "rest"))
        return expand(values, kept, rest, classes)

    def symbolic_outputs(self) -> Any:
        """The outputs' shapes, as Keras tensors."""
        outputs = self.manifest["outputs"]
        specs = [
            keras.KerasTensor((None, *outputs[name]["shape"]), "float32")
            for name in sorted(outputs, key=_number)
        ]
        return fill(self.manifest["structure"], specs)

    def feature_specs(self) -> dict[str, Any]:
        entries = self.manifest["entries"]
        return {
            layer: keras.KerasTensor((None, *entries[name]["shape"]), "float32")
            for layer, name in self.manifest["features"].items()
        }

    def get_config(self) -> dict[str, Any]:
        return {"directory": self.directory}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TeacherCache":
        return cls(**config)


def _number(name: str) -> int:
    return int(name.rsplit("_", 1)[1])


def fill(structure: Any, values: list[Any]) -> Any:
    """A nest like `structure`, whose leaves are numbers, with `values[number]` in their place.

    >>> from tfopt.distillation.teachers._teacher_cache import fill
    >>> fill({"a": 0, "b": [1]}, ["x", "y"])
    {'a': 'x', 'b': ['y']}
    """
    if isinstance(structure, dict):
        return {key: fill(value, values) for key, value in structure.items()}
    if isinstance(structure, list):
        return [fill(value, values) for value in structure]
    return values[structure]
