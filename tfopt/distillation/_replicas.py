"""How many devices share a batch."""

import keras


def replicas() -> int:
    """The number of replicas that share a batch, each of which adds a part of the mean. 1 without `tf.distribute`."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync
