"""Fingerprints: of each sample, to find its outputs again, and of a teacher, to recognize it."""

import functools
import hashlib
import json
import math
from typing import Any

import keras
import numpy as np

from tfopt.graph import capture

# Words of 8 bytes that are hashed at once: 256 KiB, which fits in a processor's cache.
_WORDS = 1 << 15
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: spreads each bit over the upper half


def hash_samples(inputs: Any) -> np.ndarray:
    """A 64-bit number for each sample, made from its values.

    The sum over its words `w` of `key * (u ^ u >> 32)`, modulo 2^64, with `u = w * constant` and an odd random key for
    each position (multilinear hashing, after Carter & Wegman 1979, "Universal classes of hash functions"). Two samples
    that differ collide with a chance of about 2^-63. A training step hashes its batch, so this is a few NumPy calls
    per batch and not one digest per sample: a third of the time of SHA-256, and it does not compete with the training
    thread for Python's lock.

    Floats count as float32 and integers other than uint8 as int64, so that the same data gets the same number in every
    form that Keras takes.

    Args:
        inputs: an array, or nest of arrays, samples first.

    Returns:
        An array of shape `(samples,)`, uint64.

    >>> import numpy as np
    >>> from tfopt.distillation.teachers._fingerprint import hash_samples
    >>> x = np.ones((2, 3))
    >>> bool((hash_samples(x) == hash_samples(x.astype("float32"))).all())
    True
    """
    arrays = [_words(np.asarray(leaf)) for leaf in keras.tree.flatten(inputs)]
    keys = _keys(sum(array.shape[1] for array in arrays))
    hashes = np.zeros(len(arrays[0]), "uint64")
    for array in arrays:
        width = array.shape[1]
        rows = max(1, _WORDS // max(1, width))
        for start in range(0, len(array), rows):
            mixed = array[start : start + rows] * _MIX
            mixed ^= mixed >> np.uint64(32)
            hashes[start : start + rows] += mixed @ keys[:width]
        keys = keys[width:]
    return hashes


@functools.lru_cache(maxsize=8)
def _keys(count: int) -> np.ndarray:
    """Odd random numbers, one for each word; different ones for samples of another size."""
    return np.random.PCG64(count).random_raw(count) | np.uint64(1)


def _words(array: np.ndarray) -> np.ndarray:
    """Each sample as a row of 8-byte words, padded with zeros."""
    rows = _standard(array)
    rows = rows.reshape(len(rows), math.prod(rows.shape[1:])).view("uint8")
    if rest := rows.shape[1] % 8:
        rows = np.pad(rows, ((0, 0), (0, 8 - rest)))
    return rows.view("<u8")


def _standard(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind in "US" or array.dtype == object:
        # Fixed-width bytes, whatever the container: equal strings get equal bytes only within one width.
        array = np.char.encode(array.astype("U"), "utf-8").astype("S256")
        array = array.view("uint8").reshape(*array.shape, 256)
    elif array.dtype.kind in "iu" and array.dtype != "uint8":
        array = array.astype("int64")
    elif array.dtype.kind not in "bu":
        array = array.astype("float32")
    if array.ndim == 1:
        array = array[:, None]
    return np.ascontiguousarray(array)


def hash_teacher(teachers: list[keras.Model]) -> str:
    """A fingerprint of what the teachers compute: their layers' settings and weights, without any names."""
    digest = hashlib.blake2b(digest_size=16)
    for teacher in teachers:
        digest.update(_settings_of(teacher).encode())
        for weight in teacher.get_weights():
            digest.update(f"{weight.shape}{weight.dtype}".encode())
            digest.update(np.ascontiguousarray(weight).view("uint8").data)
    return digest.hexdigest()


def _settings_of(teacher: keras.Model) -> str:
    try:
        operations = [node.op for node in capture(teacher).nodes]
    except ValueError:
        operations = [teacher]
    described = [(type(op).__name__, _without_names(_config(op))) for op in operations]
    # A value that is not a JSON type is represented by its type: its text may hold an address in memory.
    return json.dumps(described, sort_keys=True, default=lambda value: type(value).__name__)


def _config(op: Any) -> Any:
    try:
        return op.get_config()
    except Exception:  # a custom layer without get_config: its class and weights still count
        return None


def _without_names(config: Any) -> Any:
    if isinstance(config, dict):
        return {
            str(key): _without_names(value)
            for key, value in config.items()
            if key not in ("name", "trainable")
        }
    if isinstance(config, (list, tuple)):
        return [_without_names(value) for value in config]
    return config
