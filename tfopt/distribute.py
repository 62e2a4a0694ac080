"""Picks the `tf.distribute` strategy for the available hardware."""

import json
import os
from typing import Any


def strategy() -> Any:
    """The strategy under which to build and fit a model, so that one script runs everywhere.

    In this order: `MultiWorkerMirroredStrategy` where `TF_CONFIG` names a cluster of several workers, `TPUStrategy` if
    TensorFlow finds a TPU, `MirroredStrategy` where there are several GPUs, else the default strategy, which changes
    nothing.

    Returns:
        A `tf.distribute.Strategy`; use it as `with strategy().scope(): ...` around the code that makes models.

    Raises:
        RuntimeError: the backend of Keras is not TensorFlow. On JAX, `keras.distribution` does this.
        ValueError: `TF_CONFIG` is set and is not the JSON that TensorFlow expects.

    Example:

    >>> import keras
    >>> from tfopt.distribute import strategy
    >>> with strategy().scope():
    ...     model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> model.distribute_strategy.num_replicas_in_sync
    1
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"tfopt.distribute needs the TensorFlow backend of Keras. Got {keras.backend.backend()!r} instead. "
            "On JAX use keras.distribution.set_distribution(keras.distribution.DataParallel())."
        )
    import tensorflow as tf

    if _cluster_size(os.environ.get("TF_CONFIG", "")) > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    tpu = _tpu_resolver()
    if tpu is not None:
        tf.config.experimental_connect_to_cluster(tpu)
        tf.tpu.experimental.initialize_tpu_system(tpu)
        return tf.distribute.TPUStrategy(tpu)
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _cluster_size(config: str) -> int:
    """The number of workers in `TF_CONFIG`, including the chief; 0 if it is not set.

    >>> _cluster_size('{"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {}}')
    3
    """
    if not config:
        return 0
    try:
        cluster = json.loads(config).get("cluster", {})
        return sum(len(cluster.get(job, ())) for job in ("chief", "worker"))
    except (AttributeError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            'The environment variable TF_CONFIG must be JSON such as {"cluster": {"worker": ["host:port", ...]}, '
            f'"task": {{"type": "worker", "index": 0}}}}. Got {config!r} instead ({error}). Correct or unset it.'
        ) from error


def _tpu_resolver() -> Any:
    """The resolver of the TPU, or None; a Colab or Cloud TPU is found through the environment."""
    import tensorflow as tf

    named = any(
        name in os.environ
        for name in ("TPU_NAME", "COLAB_TPU_ADDR", "TPU_WORKER_ID", "KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS")
    )
    if not named:
        return None
    try:
        return tf.distribute.cluster_resolver.TPUClusterResolver()
    except (ValueError, RuntimeError):
        return None
