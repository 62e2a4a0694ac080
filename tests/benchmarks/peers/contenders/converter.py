"""The TFLite converter's own post-training quantization, of a plain Keras 3 model."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tests.benchmarks.peers.work import Work


def converter_of(work: Work) -> Any:
    """For a model; one with an LSTM is exported with a batch size, for none that is open converts."""
    if not any(isinstance(layer, keras.layers.RNN) for layer in work.model.layers):
        return tf.lite.TFLiteConverter.from_keras_model(work.model)
    archive = keras.export.ExportArchive()
    archive.track(work.model)
    signature = [tf.TensorSpec((1, *work.model.input_shape[1:]), "float32")]
    archive.add_endpoint("serve", lambda x: work.model(x, training=False), signature)
    archive.write_out(str(work.folder / "saved"))
    return tf.lite.TFLiteConverter.from_saved_model(str(work.folder / "saved"))


def int8(work: Work) -> Any:
    def representative() -> Any:
        yield from work.calls()

    converter = converter_of(work)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    work.path.write_bytes(converter.convert())


def int16(work: Work) -> Any:
    def representative() -> Any:
        yield from work.calls()

    int16x8 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter = converter_of(work)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [int16x8]
    converter.inference_input_type = converter.inference_output_type = tf.int16
    work.path.write_bytes(converter.convert())


def dynamic_range(work: Work) -> Any:
    converter = converter_of(work)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    work.path.write_bytes(converter.convert())


METHODS: dict[str, Callable[[Work], Any]] = {
    "PTQ int8": int8,
    "PTQ int16x8": int16,
    "dynamic range": dynamic_range,
}
