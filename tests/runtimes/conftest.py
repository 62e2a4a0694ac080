"""Small .tflite files, converted once per session, whose weights are known."""

import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf


def convert(
    model: keras.Model, samples: list | None = None, edit: Callable = lambda converter: None
) -> bytes:
    """A .tflite of `model`: float, or all int8 if there are samples to calibrate with."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if samples is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        # why names: a list would be taken in the file's order, which need not be the model's.
        names = [tensor.name for tensor in model.inputs]
        converter.representative_dataset = lambda: (
            {name: array[i : i + 1] for name, array in zip(names, samples, strict=True)}
            for i in range(len(samples[0]))
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    edit(converter)
    with warnings.catch_warnings():
        # both are the converter's own, about its insides
        warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected", UserWarning)
        warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is deprecated", UserWarning)
        return converter.convert()


def ternary(shape: tuple[int, ...], zeros: float, seed: int = 0) -> np.ndarray:
    """Weights of -1, 0 and 1, a fraction `zeros` of them 0, each channel with a 1 so that int8 holds them exactly."""
    rng = np.random.default_rng(seed)
    weights = rng.choice([-1.0, 0.0, 1.0], shape, p=[(1 - zeros) / 2, zeros, (1 - zeros) / 2])
    weights.reshape(-1, shape[-1])[0] = 1.0
    return weights.astype("float32")


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(16, 8, 8, 3)).astype("float32")


@pytest.fixture(scope="session")
def rows() -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (40, 16)).astype("float32")


@pytest.fixture(scope="session")
def residual() -> keras.Model:
    """Convolution with ReLU, depthwise convolution, the sum of both, pooling, Dense, softmax."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3), name="image")
    conv = keras.layers.Conv2D(4, 3, padding="same", activation="relu")
    depthwise = keras.layers.DepthwiseConv2D(3, padding="same")
    x = conv(inputs)
    x = keras.layers.Add()([x, depthwise(x)])
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(5, activation="softmax")(x))
    conv.kernel.assign(ternary(conv.kernel.shape, zeros=0.75))
    return model


@pytest.fixture(scope="session")
def dense() -> keras.Model:
    """One Dense layer that int8 holds exactly, half of its kernel zeros: 16 inputs, 3 outputs."""
    model = keras.Sequential([keras.Input((16,), name="row"), keras.layers.Dense(3, use_bias=False)])
    model.layers[0].kernel.assign(ternary((16, 3), zeros=0.5))
    return model


@pytest.fixture(scope="session")
def two_by_two() -> keras.Model:
    """Two inputs whose names sort the other way round, and two outputs of the same shape that differ by far."""
    first, second = keras.Input((4,), name="zebra"), keras.Input((4,), name="ant")
    total = keras.layers.Add()([first, second])
    positive = keras.layers.Dense(2, kernel_initializer="ones", name="yes")(total)
    negative = keras.layers.Dense(2, kernel_initializer=keras.initializers.Constant(-2.0), name="no")(first)
    return keras.Model([first, second], [positive, negative])


@pytest.fixture(scope="session")
def files(
    residual: keras.Model, dense: keras.Model, two_by_two: keras.Model, images: np.ndarray, rows: np.ndarray
) -> dict[str, bytes]:
    """The bytes of every .tflite file that the tests read."""
    pair = [rows[:, :4], rows[:, 4:8]]
    return {
        "residual": convert(residual),
        "residual int8": convert(residual, [images]),
        "dense": convert(dense),
        "dense int8": convert(dense, [rows]),
        "dense uint8": convert(dense, [rows], _io(tf.uint8)),
        "dense int16": convert(dense, [rows], _int16),
        "dense float io": convert(dense, [rows], _io(tf.float32)),
        "dense float16": convert(dense, edit=_float16),
        "dense sparse": convert(dense, edit=_sparse),
        "two": convert(two_by_two),
        "two int8": convert(two_by_two, pair),
    }


@pytest.fixture
def path_of(files: dict[str, bytes], tmp_path: Path) -> Callable[[str], Path]:
    """The path of one of the files."""

    def write(name: str) -> Path:
        path = tmp_path / f"{name.replace(' ', '-')}.tflite"
        path.write_bytes(files[name])
        return path

    return write


@pytest.fixture(scope="session")
def flex_file() -> bytes:
    """A file with one operator that LiteRT cannot run."""

    class Inverse(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 2, 2), tf.float32)])
        def __call__(self, x: tf.Tensor) -> tf.Tensor:
            return tf.linalg.inv(x)

    module = Inverse()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.__call__.get_concrete_function()], module
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    return converter.convert()


def _io(dtype: tf.DType) -> Callable:
    def edit(converter: tf.lite.TFLiteConverter) -> None:
        converter.inference_input_type = converter.inference_output_type = dtype

    return edit


def _int16(converter: tf.lite.TFLiteConverter) -> None:
    mode = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [mode]
    converter.inference_input_type = converter.inference_output_type = tf.int16


def _float16(converter: tf.lite.TFLiteConverter) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _sparse(converter: tf.lite.TFLiteConverter) -> None:
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
