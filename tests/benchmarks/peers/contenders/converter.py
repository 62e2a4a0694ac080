"""The TFLite converter's own post-training quantization, of a plain Keras 3 model."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tests.benchmarks.peers.work import Work


def int8(work: Work) -> Any:
    def representative() -> Any:
        yield from work.calls()

    converter = tf.lite.TFLiteConverter.from_keras_model(work.model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    work.path.write_bytes(converter.convert())


def int16(work: Work) -> Any:
    def representative() -> Any:
        yield from work.calls()

    int16x8 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter = tf.lite.TFLiteConverter.from_keras_model(work.model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [int16x8]
    converter.inference_input_type = converter.inference_output_type = tf.int16
    work.path.write_bytes(converter.convert())


def dynamic_range(work: Work) -> Any:
    converter = tf.lite.TFLiteConverter.from_keras_model(work.model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    work.path.write_bytes(converter.convert())


METHODS: dict[str, Callable[[Work], Any]] = {
    "PTQ int8": int8,
    "PTQ int16x8": int16,
    "dynamic range": dynamic_range,
}
