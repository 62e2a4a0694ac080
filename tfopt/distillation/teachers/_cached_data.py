"""Data in every form that `fit` takes, each sample together with its entries in the cache."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from tfopt.distillation._attached import attach

Lookup = Callable[[Any], dict[str, Any]]


def input_batches(data: Any, batch_size: int) -> Iterator[Any]:
    """Only the inputs, batch by batch, always in the same order.

    Args:
        data: arrays (samples first), a batched `tf.data.Dataset` or a `keras.utils.PyDataset`.
        batch_size: for arrays.

    Raises:
        TypeError: the data is of another kind.
    """
    if isinstance(data, keras.utils.PyDataset):
        return (_inputs_of(data[index]) for index in range(_length(data)))
    if _is_tf_dataset(data):
        return (_inputs_of(batch) for batch in data.as_numpy_iterator())
    arrays = keras.tree.map_structure(np.asarray, _check_arrays(data))
    count = len(keras.tree.flatten(arrays)[0])
    return (_cut(arrays, slice(start, start + batch_size)) for start in range(0, count, batch_size))


def _cut(arrays: Any, part: slice) -> Any:
    return keras.tree.map_structure(lambda array: array[part], arrays)


def attach_to(data: Any, lookup: Lookup, manifest: dict[str, Any]) -> Any:
    """Data of the same kind, with `lookup(inputs)` in place of the inputs."""
    if isinstance(data, keras.utils.PyDataset):
        return _AttachedDataset(data, lookup)
    if _is_tf_dataset(data):
        return _attached_tf(data, lookup, manifest)
    return lookup(keras.tree.map_structure(np.asarray, _check_arrays(data)))


def _check_arrays(data: Any) -> Any:
    leaves = keras.tree.flatten(data)
    if isinstance(data, tuple) or not leaves or not all(hasattr(leaf, "shape") for leaf in leaves):
        raise TypeError(
            "The teacher cache takes arrays (only the inputs, samples first; several inputs in a list or dict), a "
            f"tf.data.Dataset or a keras.utils.PyDataset. Got {type(data).__name__} instead. A generator can be read "
            "only once: put it in a keras.utils.PyDataset."
        )
    return data


def _is_tf_dataset(data: Any) -> bool:
    return hasattr(data, "element_spec")  # known without importing TensorFlow


def _length(data: keras.utils.PyDataset) -> int:
    if data.num_batches is None:
        raise ValueError(
            "The 'dataset' argument must come to an end. Got a PyDataset without end. Give it a length (__len__)."
        )
    return data.num_batches


def _inputs_of(batch: Any) -> Any:
    return keras.utils.unpack_x_y_sample_weight(batch)[0]


class _AttachedDataset(keras.utils.PyDataset):
    """The batches of another data set, with their entries in the cache."""

    def __init__(self, data: keras.utils.PyDataset, lookup: Lookup) -> None:
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self.data = data
        self.lookup = lookup

    @property
    def num_batches(self) -> int | None:
        return self.data.num_batches

    def __getitem__(self, index: int) -> Any:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(self.data[index])
        return keras.utils.pack_x_y_sample_weight(
            self.lookup(keras.tree.map_structure(np.asarray, x)), y, weight
        )

    def on_epoch_begin(self) -> None:
        self.data.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.data.on_epoch_end()


def _attached_tf(data: Any, lookup: Lookup, manifest: dict[str, Any]) -> Any:
    import tensorflow as tf

    entries = manifest["entries"]
    ranks = [len(one["shape"]) for one in manifest["identity"]["inputs"]]

    def with_entries(*element: Any) -> Any:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(element[0] if len(element) == 1 else element)
        leaves = keras.tree.flatten(x)
        single = leaves[0].shape.rank == ranks[0]  # a data set of samples that are not batched yet

        def read(*arrays: np.ndarray) -> list[np.ndarray]:
            batch = [array[None] for array in arrays] if single else list(arrays)
            found = lookup(batch)["tfopt_teacher"]
            return [found[name][0] if single else found[name] for name in entries]

        tensors = tf.numpy_function(read, leaves, [tf.as_dtype(one["dtype"]) for one in entries.values()])
        for tensor, one in zip(tensors, entries.values(), strict=True):
            tensor.set_shape(one["shape"] if single else [leaves[0].shape[0], *one["shape"]])
        attached = attach(x, dict(zip(entries, tensors, strict=True)))
        return attached if y is None else (attached, y) if weight is None else (attached, y, weight)

    return data.map(with_entries, num_parallel_calls=tf.data.AUTOTUNE)
