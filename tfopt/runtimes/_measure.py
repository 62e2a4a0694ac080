"""The figures of one model or file, as `compare` lists them."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfopt.runtimes._inputs import by_input
from tfopt.runtimes._latency import measure_latency, time_calls
from tfopt.runtimes._predict import predict
from tfopt.runtimes._registry import load
from tfopt.runtimes._size import Size, measure_size
from tfopt.runtimes._sparse import encode_sparse, sparse_bytes
from tfopt.runtimes._tflite_file import TFLiteFile


@dataclasses.dataclass(frozen=True)
class CompareRow:
    """The figures of one model.

    Args:
        name: the caller's name for it.
        runtime: the runtime that ran it, such as `"LiteRT"`, or `"Keras"`.
        metric: value of the metric; None without labels.
        raw_bytes: size of the file; of a Keras model's weights as float32.
        gzip_bytes: the same after gzip.
        sparse_bytes: the same with every kernel in sparse storage that is smaller in that form.
        latency_ms: median milliseconds of one call at batch 1; None for Keras on another backend than TensorFlow.
        peak_activation_bytes: bytes of activations alive at once; None for a Keras model.
        sparsity: zeros as a fraction of all kernel values.
        weight_bits: number of kernel values by their bits.
        batch_size: samples in the call for which latency and memory are measured.
        arena_bytes: all memory that TFLite Micro takes for the file; None on other runtimes.

    Example:

    >>> CompareRow("int8", "LiteRT", 0.97, 9000, 5000, 6000, 0.02, 4096, 0.75, {8: 8000}).weight_bits
    {8: 8000}
    """

    name: str
    runtime: str
    metric: float | None
    raw_bytes: int
    gzip_bytes: int
    sparse_bytes: int
    latency_ms: float | None
    peak_activation_bytes: int | None
    sparsity: float
    weight_bits: dict[int, int]
    batch_size: int = 1
    arena_bytes: int | None = None


def measure_file(
    name: str,
    file: TFLiteFile,
    x: Any,
    order: tuple[str, ...],
    runs: int,
    advance: Callable[[int], Any],
    runtime: str = "xnnpack",
    listed: bool = False,
) -> tuple[CompareRow, Any]:
    """The figures of a file without the metric, and its outputs as floats: by name, or `listed`, if it has several."""
    loaded = load(file, runtime)
    values = loaded.run(x, order, advance).values
    size = measure_size(file.content)
    shapes = [(file.batch_size, *array.shape[1:]) for array in by_input(x, file.inputs, order)]
    row = CompareRow(
        name=name,
        runtime=loaded.title,
        metric=None,
        raw_bytes=size.raw,
        gzip_bytes=size.gzip,
        sparse_bytes=sparse_bytes(size.raw, file.kernels),
        latency_ms=measure_latency(file.content, runs, runtime=runtime, shapes=shapes).median_ms,
        peak_activation_bytes=file.peak_activation_bytes,
        sparsity=file.sparsity,
        weight_bits=file.weight_bits,
        batch_size=file.batch_size,
        arena_bytes=arena.total if (arena := getattr(loaded, "arena", None)) else None,
    )
    if len(values) == 1:
        return row, next(iter(values.values()))
    # Keras itself exports a list of outputs with the names output_0, output_1, ...
    return row, list(values.values()) if listed or "output_0" in values else values


def measure_keras(name: str, model: keras.Model, x: Any, runs: int) -> tuple[CompareRow, Any]:
    """The figures of a Keras model without the metric, and its predictions."""
    predictions = predict(model, x)
    kernels = [
        (array, variable.dtype)
        for variable, array in zip(model.weights, model.get_weights(), strict=True)
        if array.ndim >= 2 and "bias" not in variable.name
    ]
    bits: Counter[int] = Counter()
    for array, dtype in kernels:
        bits[_bits(dtype)] += array.size
    total = sum(array.size for array, _ in kernels)
    size = keras_size(model)
    row = CompareRow(
        name=name,
        runtime="Keras",
        metric=None,
        raw_bytes=size.raw,
        gzip_bytes=size.gzip,
        sparse_bytes=size.raw - sum(_saving(array) for array, _ in kernels),
        latency_ms=_keras_latency(model, x, runs),
        peak_activation_bytes=None,
        sparsity=sum(array.size - int(np.count_nonzero(array)) for array, _ in kernels) / total
        if total
        else 0.0,
        weight_bits=dict(bits.most_common()),
    )
    return row, predictions


def keras_size(model: keras.Model) -> Size:
    """Raw and gzip bytes of a model's weights, floats as float32: what a float file holds besides the operators.

    >>> keras_size(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])).raw
    60
    """
    arrays = [
        array.astype("float32") if "float" in variable.dtype else array
        for variable, array in zip(model.weights, model.get_weights(), strict=True)
    ]
    return measure_size(b"".join(array.tobytes() for array in arrays))


def _keras_latency(model: keras.Model, x: Any, runs: int) -> float | None:
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    compiled = tf.function(lambda inputs: model(inputs, training=False), jit_compile=False)
    floats = keras.config.floatx()
    sample = keras.tree.map_structure(
        lambda a: tf.constant(a[:1], floats if a.dtype.kind == "f" else None), x
    )
    # np.asarray waits for the result: on a GPU the call returns before it is done.
    call = lambda: keras.tree.map_structure(np.asarray, compiled(sample))  # noqa: E731 (used once)
    return time_calls(call, runs, warmup=5).median_ms


def _saving(kernel: np.ndarray) -> int:
    """Bytes that sparse storage saves on a kernel of a Keras model, with its output axis first, as in a file."""
    if kernel.dtype.kind != "f":
        return 0
    kernel = np.moveaxis(kernel.astype("float32"), -1, 0)
    return encode_sparse(kernel).saving(kernel.nbytes)


def _bits(dtype: str) -> int:
    return int("".join(character for character in dtype if character.isdigit()) or 8)
