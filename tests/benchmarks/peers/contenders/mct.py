"""Sony's Model Compression Toolkit 2.6.1 on TensorFlow 2.15, for its TFLite platform."""

from collections.abc import Callable
from typing import Any

import model_compression_toolkit as mct

from tests.benchmarks.peers.work import Work

TFLITE = mct.get_target_platform_capabilities("1.0", "tflite")
DEFAULT = mct.get_target_platform_capabilities("1.0", "imx500")


def on_a_platform(quantized: Callable[[Any], Any]) -> Any:
    """On that of TFLite, which contradicts itself in 2.6.1 where layers only move codes; else on its default one."""
    try:
        return quantized(TFLITE)
    except ValueError:
        return quantized(DEFAULT)


def write(model: Any, work: Work) -> Any:
    mct.exporter.keras_export_model(
        model=model,
        save_model_path=str(work.path),
        serialization_format=mct.exporter.KerasExportSerializationFormat.TFLITE,
        quantization_format=mct.exporter.QuantizationFormat.INT8,
    )
    return model


def ptq(work: Work) -> Any:
    def representative() -> Any:
        yield from work.calls(32)

    model, _ = on_a_platform(
        lambda platform: mct.ptq.keras_post_training_quantization(
            work.model, representative, target_platform_capabilities=platform
        )
    )
    return write(model, work)


def gptq(work: Work) -> Any:
    def representative() -> Any:
        yield from work.calls(32)

    config = mct.gptq.get_keras_gptq_config(n_epochs=50)  # as its tutorials have it
    model, _ = on_a_platform(
        lambda platform: mct.gptq.keras_gradient_post_training_quantization(
            work.model, representative, config, target_platform_capabilities=platform
        )
    )
    return write(model, work)


def half_the_weights(work: Work) -> Any:
    def representative() -> Any:
        yield from work.calls(32)

    size = 4 * work.model.count_params()
    # Its own platform: that of TFLite does not say how many channels belong together, which pruning asks for.
    model, _ = mct.pruning.keras_pruning_experimental(
        model=work.model,
        target_resource_utilization=mct.core.ResourceUtilization(weights_memory=0.5 * size),
        representative_data_gen=representative,
    )
    work.model = work.train(model)
    return ptq(work)


METHODS: dict[str, Callable[[Work], Any]] = {
    "PTQ int8": ptq,
    "GPTQ int8": gptq,
    "half the weights, PTQ": half_the_weights,
}
