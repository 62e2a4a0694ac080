"""tensorflow-model-optimization 0.8.1 on tf_keras: its guide's programs, and the converter behind them."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from tests.benchmarks.peers.work import Work

quantization, sparsity, clustering = (
    tfmot.quantization.keras,
    tfmot.sparsity.keras,
    tfmot.clustering.keras,
)


def converter_of(model: Any) -> Any:
    """For a model; one with an LSTM gets a batch size, for none that is open converts."""
    if not any(isinstance(layer, tf_keras.layers.RNN) for layer in model.layers):
        return tf.lite.TFLiteConverter.from_keras_model(model)
    call = tf.function(lambda x: model(x, training=False))
    concrete = call.get_concrete_function(tf.TensorSpec((1, *model.input_shape[1:])))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)


def write(model: Any, work: Work) -> Any:
    """The file of a model that knows its ranges."""
    converter = converter_of(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    work.path.write_bytes(converter.convert())
    return model


def write_calibrated(model: Any, work: Work) -> Any:
    """The int8 file of a float model."""

    def representative() -> Any:
        yield from work.calls()

    converter = converter_of(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    work.path.write_bytes(converter.convert())
    return model


def qat(work: Work) -> Any:
    model = quantization.quantize_model(work.model)
    work.train(model)
    return write(model, work)


def pruned(work: Work, epochs: int, final: float = 0.8, block: Any = None) -> Any:
    end = int(0.75 * epochs * work.steps)
    schedule = sparsity.PolynomialDecay(0.0, final, 0, end)
    options = {"sparsity_m_by_n": block} if block else {"pruning_schedule": schedule}
    model = sparsity.prune_low_magnitude(work.model, **options)
    work.train(model, epochs, [sparsity.UpdatePruningStep()])
    return sparsity.strip_pruning(model)


def prune(work: Work) -> Any:
    return write_calibrated(pruned(work, work.epochs), work)


def prune_2_of_4(work: Work) -> Any:
    return write_calibrated(pruned(work, work.epochs, block=(2, 4)), work)


def prune_then_qat(work: Work) -> Any:
    model = pruned(work, work.epochs - work.epochs // 3)
    annotated = quantization.quantize_annotate_model(model)
    scheme = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()
    model = quantization.quantize_apply(annotated, scheme)
    work.train(model, work.epochs // 3)
    return write(model, work)


def clustered(work: Work, epochs: int) -> Any:
    start = clustering.CentroidInitialization.KMEANS_PLUS_PLUS
    model = clustering.cluster_weights(work.model, 16, start)
    work.train(model, epochs)
    return clustering.strip_clustering(model)


def cluster(work: Work) -> Any:
    return write_calibrated(clustered(work, work.epochs), work)


def cluster_then_qat(work: Work) -> Any:
    model = clustered(work, work.epochs - work.epochs // 3)
    annotated = quantization.quantize_annotate_model(model)
    scheme = tfmot.experimental.combine.Default8BitClusterPreserveQuantizeScheme()
    model = quantization.quantize_apply(annotated, scheme)
    work.train(model, work.epochs // 3)
    return write(model, work)


METHODS: dict[str, Callable[[Work], Any]] = {
    "QAT": qat,
    "80 % zeros, PTQ": prune,
    "80 % zeros, QAT": prune_then_qat,
    "2:4, PTQ": prune_2_of_4,
    "16 clusters, PTQ": cluster,
    "16 clusters, QAT": cluster_then_qat,
}
