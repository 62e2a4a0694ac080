"""`cache_teacher`: runs a teacher once over a data set, and keeps its outputs."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt._on_batch import on_batch
from tfopt.distillation.teachers._cached_data import input_batches
from tfopt.distillation.teachers._fingerprint import hash_samples, hash_teacher
from tfopt.distillation.teachers._store import SAMPLES, Store, alone
from tfopt.distillation.teachers._teacher_cache import TeacherCache
from tfopt.distillation.teachers._teachers import Lesson, Teacher, as_teacher, flat_teachers
from tfopt.distillation.teachers._top_k import compress, is_distribution
from tfopt.graph import check_finite, final_activation

# A shard is written when it holds this many samples or bytes: a build that is killed loses at most one shard.
SHARD_SAMPLES = 1024
SHARD_BYTES = 64_000_000


def cache_teacher(
    teacher: Any,
    dataset: Any,
    directory: str | os.PathLike,
    features: Sequence[str] | None = None,
    dtype: str = "float32",
    top_k: int | None = None,
    batch_size: int = 32,
    verbose: int = 1,
) -> TeacherCache:
    """Runs a teacher once over the training data and writes its outputs to disk, for `Distiller(teacher=cache)`.

    In distillation the teacher computes the same outputs in every epoch. With the cache a training step costs as much
    as for the student alone. If the process is killed, the same call continues where it stopped, and the files are
    byte for byte the same as without the interruption. Two processes that are to build one cache do so one by one. A
    call with a complete cache reads the data once to verify it, and does not run the teacher.

    Args:
        teacher: a built Keras model, or a list of models whose outputs are averaged.
        dataset: the training inputs: arrays (samples first; several inputs in a list or dict), a batched
            `tf.data.Dataset` or a `keras.utils.PyDataset`; targets in it are ignored. Every reading must give the same
            data, so shuffle and augment it later; see `TeacherCache`.
        directory: the folder for the cache; it is created. One folder holds one cache.
        features: names or paths of the teacher's layers whose outputs are kept too, for losses over features.
        dtype: `"float32"`, or `"float16"` for half the size.
        top_k: keep only this many of the largest classes of each output, and the mean probability of the others; None
            keeps all.
        batch_size: samples in a batch, if `dataset` is arrays.
        verbose: 1 shows a progress bar, 0 nothing.

    Returns:
        The `TeacherCache`.

    Raises:
        TypeError: `teacher` or `dataset` is of another kind.
        ValueError: the data differs between two readings (it is augmented or shuffled at random) or is empty; the
            teacher gives NaN; the folder holds a cache of another teacher, other data or other settings, or one whose
            files are damaged; a layer is not found; a value does not fit float16.

    Example:

    >>> import keras, numpy as np, tempfile
    >>> from tfopt.distillation import cache_teacher
    >>> teacher = keras.Sequential([keras.Input((8,)), keras.layers.Dense(100, "softmax")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     x = np.random.default_rng(0).normal(size=(64, 8))
    ...     cache = cache_teacher(teacher, x, folder, dtype="float16", top_k=5, verbose=0)
    ...     len(cache)
    64
    """
    _check_arguments(teacher, dtype, top_k)
    plan = as_teacher(teacher)
    names = list(features or ())
    plan.prepare(next(iter(flat_teachers(teacher))), names)
    first = _read_twice(dataset, batch_size)
    identity = {
        "teacher": hash_teacher(list(flat_teachers(teacher))),
        "activation": final_activation(next(iter(flat_teachers(teacher)))),
        "inputs": [
            {"shape": list(np.shape(leaf)[1:]), "dtype": str(np.asarray(leaf).dtype)}
            for leaf in keras.tree.flatten(first)
        ],
        "features": names,
        "dtype": dtype,
        "top_k": top_k,
    }
    os.makedirs(directory, exist_ok=True)
    with alone(Path(directory)):
        build = _Build(Store(Path(directory)), identity, _Reader(plan))
        build.check_identity()
        build.run(input_batches(dataset, batch_size), _progress(dataset, verbose))
    return TeacherCache(directory)


def _check_arguments(teacher: Any, dtype: str, top_k: int | None) -> None:
    teachers = list(flat_teachers(teacher))
    if not teachers or not all(isinstance(one, keras.Model) and one.built for one in teachers):
        raise TypeError(
            "The 'teacher' argument of cache_teacher must be a built Keras model, or a list of them. "
            f"Got {teacher!r} instead. Put a function into a model with keras.layers.Lambda."
        )
    for one in teachers:
        check_finite(one, "teacher")
    if dtype not in ("float32", "float16"):
        raise ValueError(
            f"The 'dtype' argument of cache_teacher must be 'float32' or 'float16'. Got {dtype!r} instead."
        )
    if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
        raise ValueError(
            f"The 'top_k' argument of cache_teacher must be None or an integer >= 1. Got {top_k!r} instead."
        )


def _read_twice(dataset: Any, batch_size: int) -> Any:
    """The first batch, if it is the same in two readings."""
    first, again = (next(iter(input_batches(dataset, batch_size)), None) for _ in range(2))
    if first is None:
        raise ValueError("The 'dataset' argument of cache_teacher must hold at least one batch. Got none.")
    a, b = hash_samples(first), hash_samples(again)
    if len(a) != len(b) or (a != b).any():
        raise ValueError(
            "The 'dataset' argument of cache_teacher must give the same data every time. Got another first batch in "
            "the second reading, so the teacher's outputs cannot be kept: the data is shuffled or augmented at "
            "random. Shuffle only when training: the cache finds samples in any order. Augment with fixed seeds, say a "
            "seed for each of a few epochs (tf.image.stateless_random_crop and the like), cache all of them, and train "
            "on them in turns; or put the augmentation inside the student model."
        )
    return first


class _Reader(keras.Model):
    """The teacher as a model of its own, so that Keras compiles it: a flat dict of outputs and features, float32."""

    def __init__(self, plan: Teacher) -> None:
        super().__init__(name="teacher_reader")
        self.plan = plan
        self.structure: Any = None

    def call(self, inputs: Any) -> dict[str, Any]:
        outputs, features = self.plan.teach(Lesson(inputs, None, None, {}))
        leaves = keras.tree.flatten(keras.tree.lists_to_tuples(outputs))
        self.structure = keras.tree.pack_sequence_as(outputs, list(range(len(leaves))))
        named = {f"output_{index}": leaf for index, leaf in enumerate(leaves)}
        named.update({f"feature_{index}": leaf for index, leaf in enumerate(features.values())})
        return {name: ops.cast(leaf, "float32") for name, leaf in named.items()}


class _Build:
    """One run over the data: outputs that are in the cache are verified, the others are computed and written."""

    def __init__(self, store: Store, identity: dict[str, Any], reader: _Reader) -> None:
        self.store = store
        self.identity = identity
        self.reader = reader
        self.read = on_batch(reader)
        self.pending: list[dict[str, np.ndarray]] = []
        self.data = hashlib.blake2b(digest_size=16)

    def check_identity(self) -> None:
        """Raises if the folder holds a cache of another teacher, other data or other settings."""
        manifest = self.store.manifest
        if not manifest:
            self.store.write_manifest({"identity": self.identity, "shards": [], "complete": False})
            return
        differing = [key for key, value in self.identity.items() if manifest["identity"].get(key) != value]
        if differing:
            what = "teacher (its layers or weights)" if "teacher" in differing else " and ".join(differing)
            raise ValueError(
                "The 'directory' argument of cache_teacher holds a cache that is stale: "
                f"{str(self.store.directory)!r} was made with another {what}. Pass another directory, or delete "
                "this one."
            )
        self.store.remove_leftovers()

    def run(self, batches: Any, advance: Any) -> None:
        """Goes through all batches."""
        was_complete = self.store.manifest["complete"]
        done = self._rows()
        known = self.store.samples() if done else np.empty(0, "uint64")
        position = 0
        for batch in batches:
            hashes = hash_samples(batch)
            self.data.update(hashes.tobytes())
            seen = known[position : position + len(hashes)]
            if position < done:
                if len(seen) != len(hashes) or (seen != hashes).any():
                    self._refuse(position)
            elif was_complete:
                self._refuse(position)
            else:
                self._add(batch, hashes)
            position += len(hashes)
            advance(len(hashes))
        if position < done:
            self._refuse(position)
        if not was_complete:
            self._flush()
            finished = {"complete": True, "data": self.data.hexdigest()}
            self.store.write_manifest({**self.store.manifest, **finished})

    def _refuse(self, position: int) -> None:
        raise ValueError(
            "The 'directory' argument of cache_teacher holds a cache that is stale: "
            f"{str(self.store.directory)!r} was made from other data, which differs from sample {position} on (or "
            "from other batch sizes). Pass another directory, or delete this one."
        )

    def _rows(self) -> int:
        return sum(shard["count"] for shard in self.store.manifest["shards"])

    def _add(self, batch: Any, hashes: np.ndarray) -> None:
        outputs = self.read(batch)
        self.pending.append({SAMPLES: hashes, **self._encode(outputs)})
        rows = sum(len(one[SAMPLES]) for one in self.pending)
        size = sum(array.nbytes for one in self.pending for array in one.values())
        if rows >= SHARD_SAMPLES or size >= SHARD_BYTES:
            self._flush()

    def _encode(self, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The entries to store for a batch; the first batch also determines their description in the manifest."""
        k = self.identity["top_k"]
        entries: dict[str, np.ndarray] = {}
        described = dict(self.store.manifest.get("outputs", {}))
        for name, value in outputs.items():
            if not np.isfinite(value).all():
                raise ValueError(
                    f"The 'teacher' argument of cache_teacher must give finite numbers. Got NaN or infinite ones in "
                    f"{name!r} after {self._rows():,} samples or more. Check its weights, and the samples."
                )
            is_output = name.startswith("output")
            cut = is_output and k is not None and value.ndim > 1 and value.shape[-1] > k
            if is_output and name not in described:
                described[name] = {"shape": list(value.shape[1:])}
                if cut:
                    described[name] |= {"classes": value.shape[-1], "probabilities": is_distribution(value)}
            if cut:
                values, classes, rest = compress(value, k, described[name]["probabilities"])
                entries |= {f"{name}_values": self._cast(values), f"{name}_classes": classes}
                entries[f"{name}_rest"] = self._cast(rest)
            else:
                entries[name] = self._cast(value)
        if "outputs" not in self.store.manifest:
            kept = {name: {"shape": list(a.shape[1:]), "dtype": str(a.dtype)} for name, a in entries.items()}
            layers = {layer: f"feature_{index}" for index, layer in enumerate(self.identity["features"])}
            self.store.manifest |= {
                "outputs": described,
                "entries": kept,
                "features": layers,
                "structure": self.reader.structure,
            }
        return entries

    def _cast(self, array: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            cast = array.astype(self.identity["dtype"])
        if np.isinf(cast).any() and not np.isinf(array).any():
            raise ValueError(
                "The 'dtype' argument of cache_teacher is 'float16', but a value of the teacher is "
                f"{np.abs(array).max():.6g}, above its largest, 65504. Pass dtype='float32'."
            )
        return cast

    def _flush(self) -> None:
        if not self.pending:
            return
        shards = self.store.manifest["shards"]
        joined = {name: np.concatenate([one[name] for one in self.pending]) for name in self.pending[0]}
        checksums = self.store.write_shard(len(shards), joined)
        shard = {"count": len(joined[SAMPLES]), "crc32": checksums}
        self.store.write_manifest({**self.store.manifest, "shards": [*shards, shard]})
        self.pending = []


def _progress(dataset: Any, verbose: int) -> Any:
    """A function to call with the number of samples just done."""
    if not verbose:
        return lambda done: None
    is_arrays = not isinstance(dataset, keras.utils.PyDataset) and not hasattr(dataset, "element_spec")
    count = len(keras.tree.flatten(dataset)[0]) if is_arrays else None
    bar = keras.utils.Progbar(count, unit_name="sample")
    return bar.add
