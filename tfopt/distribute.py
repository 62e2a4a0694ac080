"""The `tf.distribute` strategy for the available hardware, and which of several workers writes files."""

import json
import os
from typing import Any


def strategy() -> Any:
    """The strategy under which to build and fit a model, so that one script runs everywhere.

    In this order: `MultiWorkerMirroredStrategy` where `TF_CONFIG` names a cluster of several workers, `TPUStrategy` if
    TensorFlow finds a TPU, `MirroredStrategy` where there are several GPUs, else the default strategy, which changes
    nothing.

    Keras 3 cannot `fit` under `MultiWorkerMirroredStrategy` (https://github.com/keras-team/keras/issues/20585); a loop
    over `model.train_step` trains there: `examples/multi_worker.py`.

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

    cluster, _ = _configured(os.environ.get("TF_CONFIG", ""))
    if sum(cluster.values()) > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    tpu = _tpu_resolver()
    if tpu is not None:
        tf.config.experimental_connect_to_cluster(tpu)
        tf.tpu.experimental.initialize_tpu_system(tpu)
        return tf.distribute.TPUStrategy(tpu)
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief() -> bool:
    """Whether this process is the one of several workers that writes files: True where there is one process.

    `export`, `verify`, `inspect` and `model.save` read a worker's own copy of the weights, and wait for no other: call
    them on the chief alone, outside of `strategy.scope()`. What makes a model (`quantize`, `shrink`, `load_model`) and
    what trains it must run on every worker.

    Returns:
        On TensorFlow, whether `TF_CONFIG` names this task as the chief, or as worker 0 of a cluster without a chief;
        on JAX, whether this is process 0.

    Raises:
        ValueError: `TF_CONFIG` is set and is not the JSON that TensorFlow expects.

    Example:

    >>> from tfopt.distribute import is_chief
    >>> is_chief()
    True
    """
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return jax.process_index() == 0
    cluster, task = _configured(os.environ.get("TF_CONFIG", ""))
    if sum(cluster.values()) < 2:
        return True
    return task[0] == "chief" or ("chief" not in cluster and task == ("worker", 0))


def _configured(config: str) -> tuple[dict[str, int], tuple[str, int]]:
    """How many chiefs and workers `TF_CONFIG` names, and which of them this process is.

    >>> _configured('{"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {"type": "worker", "index": 1}}')
    ({'chief': 1, 'worker': 2}, ('worker', 1))
    """
    try:
        read = json.loads(config or "{}")
        cluster, task = read.get("cluster", {}), read.get("task", {})
        sizes = {job: len(cluster[job]) for job in ("chief", "worker") if cluster.get(job)}
        return sizes, (task.get("type", "worker"), int(task.get("index", 0)))
    except (AttributeError, TypeError, ValueError) as error:
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
