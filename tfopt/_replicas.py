"""What the devices that share a batch must agree on: each sees a part of it, and one model must come out."""

from typing import Any

import keras
from keras import ops


def replicas() -> int:
    """The number of replicas that share a batch, each of which adds a part of the mean. 1 without `tf.distribute`."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


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

    strategy = getattr(model, "distribute_strategy", None)
    if strategy is None or strategy.num_replicas_in_sync == 1 or not tf.executing_eagerly():
        return
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
        values = [tf.convert_to_tensor(variable.value) for variable in counted]
        return tf.distribute.get_replica_context().all_reduce("mean", values)

    with strategy.scope():
        for variable, found in zip(counted, strategy.run(mean), strict=True):
            variable.assign(strategy.experimental_local_results(found)[0])
