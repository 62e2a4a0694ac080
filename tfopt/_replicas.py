"""What the devices that share a batch must agree on: each sees a part of it, and one model must come out."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops


def replicas() -> int:
    """The number of replicas that share a batch, each of which adds a part of the mean. 1 without `tf.distribute`."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def is_shared(model: keras.Model) -> bool:
    """Whether several replicas of a `tf.distribute` strategy hold the model."""
    strategy = getattr(model, "distribute_strategy", None)
    return strategy is not None and strategy.num_replicas_in_sync > 1


def limits_of_batch(low: Any, high: Any) -> tuple[Any, Any]:
    """The least `low` and the largest `high` over all replicas, on each of them.

    Not inside a condition: replicas wait there for each other.

    >>> from tfopt._replicas import limits_of_batch
    >>> limits_of_batch(-1.0, 2.0)
    (-1.0, 2.0)
    """
    number = replicas()
    if number == 1:
        return low, high
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None:  # in the scope of a strategy, but not in a step
        return low, high
    # A strategy sums, and knows no extremes: each replica adds a row of its own to a table of zeros.
    row = ops.stack([low, high])
    mine = tf.equal(tf.range(number), context.replica_id_in_sync_group)
    rows = context.all_reduce("sum", tf.where(mine[:, None], row[None], tf.zeros_like(row)[None]))
    return ops.min(rows[:, 0]), ops.max(rows[:, 1])


def from_chief(values: list[Any]) -> list[Any]:
    """What the first of several workers holds, on each of them; the values themselves where there is one.

    What is drawn at random, or depends on a worker's own samples, differs between workers. Call it in the scope of the
    strategy, on each worker: they wait for each other.

    Args:
        values: tensors or arrays of numbers or bools, of the same shapes on all workers.

    >>> from tfopt._replicas import from_chief
    >>> from_chief([3.0])
    [3.0]
    """
    if keras.backend.backend() != "tensorflow" or not values:
        return values
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return values
    tensors = [tf.convert_to_tensor(value) for value in values]
    # The sum over workers of which all but one hold zeros; bools have no sum.
    numbers = [tf.cast(tensor, tf.int32) if tensor.dtype.is_bool else tensor for tensor in tensors]

    def sums() -> Any:
        context = tf.distribute.get_replica_context()
        first = context.replica_id_in_sync_group == 0
        return context.all_reduce("sum", [tf.where(first, one, tf.zeros_like(one)) for one in numbers])

    found = [strategy.experimental_local_results(one)[0] for one in _together(strategy, sums)]
    return [tf.cast(one, tensor.dtype) for one, tensor in zip(found, tensors, strict=True)]


def _together(strategy: Any, function: Callable[[], list[Any]]) -> list[Any]:
    """What all replicas compute; in a graph, in which workers exchange all tensors at once."""
    import tensorflow as tf

    # A direct call would make TensorFlow warn of retracing.
    return tf.function(lambda: strategy.run(function), autograph=False).get_concrete_function()()


def share_weights(model: keras.Model) -> None:
    """Give all of several workers the chief's weights: each may have made its own, from its own samples."""
    own = [weight.value for weight in model.weights]
    chiefs = from_chief(own)
    if chiefs is not own:
        for weight, value in zip(model.weights, chiefs, strict=True):
            weight.assign(value)


def average_statistics(model: keras.Model, workers: bool = False) -> None:
    """Give all replicas the mean of what each has counted by itself, such as batch norm's moving statistics.

    Keras leaves a replica its own statistics, of its parts of the batches: each would predict in its own way, and a
    file would hold those of one. Moving averages are linear: the mean of the replicas' is that which moves by the means
    of their batches. Nothing is changed without a `tf.distribute` strategy.

    Args:
        model: a Keras model.
        workers: whether this is called by each of several workers, who wait for each other then. Without it, nothing
            is changed where there are several: one alone may be writing a file.
    """
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    if not is_shared(model) or not tf.executing_eagerly():
        return
    strategy = model.distribute_strategy
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and not workers:
        return
    counted = [
        variable
        for variable in model.non_trainable_variables
        if variable.aggregation == "none" and "float" in keras.backend.standardize_dtype(variable.dtype)
    ]
    if not counted:
        return

    def mean() -> Any:
        # On the replica's device: a reduction goes to where its tensors are.
        values = [tf.identity(variable.value) for variable in counted]
        return tf.distribute.get_replica_context().all_reduce("mean", values)

    with strategy.scope():
        for variable, found in zip(counted, _together(strategy, mean), strict=True):
            variable.assign(strategy.experimental_local_results(found)[0])
