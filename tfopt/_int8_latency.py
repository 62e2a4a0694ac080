"""The latency of a model as an int8 file on LiteRT."""

import os
import tempfile

import keras
import numpy as np


def int8_latency(model: keras.Model, runs: int = 30) -> float:
    """Median milliseconds of one call of the model's int8 .tflite file on LiteRT, on this machine, one thread.

    The file is calibrated on random inputs: its time does not depend on its ranges.

    Args:
        model: a float Keras model.
        runs: calls to time.
    """
    # Imported here, because conversion and the runtime take long to import.
    from tfopt.conversion import export
    from tfopt.quantization import quantize
    from tfopt.runtimes import measure_latency

    rng = np.random.default_rng(0)
    samples = [
        rng.uniform(0, 1, [4, *(size or 32 for size in t.shape[1:])]).astype(t.dtype) for t in model.inputs
    ]
    quantized = quantize(model, samples if len(samples) > 1 else samples[0])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.tflite")
        export(quantized, path)
        return measure_latency(path, runs=runs).median_ms
