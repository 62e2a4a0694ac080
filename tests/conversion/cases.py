"""One row per operation of the placement table: a layer and the shape of its input."""

from collections.abc import Callable

import keras
from keras import layers

from tfopt.quantization._decompose import TABLE as DECOMPOSED
from tfopt.quantization._placement import TABLE


def _binary(layer: keras.layers.Layer) -> Callable:
    return lambda x: layer([layers.Dense(4, name="left")(x), layers.Dense(4, name="right")(x)])


# Kind of operation -> (what to apply to the input, input shape without the batch).
CASES: dict[str, tuple[Callable, tuple[int, ...]]] = {
    "Dense": (layers.Dense(5), (7,)),
    "Conv1D": (layers.Conv1D(5, 3, padding="causal", dilation_rate=2), (9, 4)),
    "Conv2D": (layers.Conv2D(5, 3, strides=2, padding="same"), (9, 8, 4)),
    "Conv2DTranspose": (layers.Conv2DTranspose(5, 3, strides=2, padding="same"), (4, 4, 3)),
    "DepthwiseConv1D": (layers.DepthwiseConv1D(3, depth_multiplier=2), (9, 3)),
    "DepthwiseConv2D": (layers.DepthwiseConv2D(3, depth_multiplier=2), (7, 7, 3)),
    "BatchNormalization": (layers.BatchNormalization(), (5, 5, 4)),
    "Add": (_binary(layers.Add()), (6,)),
    "Subtract": (_binary(layers.Subtract()), (6,)),
    "Multiply": (_binary(layers.Multiply()), (6,)),
    "Divide": (lambda x: keras.ops.divide(x, 3.0), (5, 4)),
    "TrueDivide": (lambda x: x / 3.0, (5, 4)),
    "Rescaling": (layers.Rescaling(0.1, offset=-2.0), (5, 5, 3)),
    "Normalization": (layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[0.1, 1.0, 4.0]), (5, 5, 3)),
    "Mean": (lambda x: keras.ops.mean(x, axis=(1, 2)), (5, 5, 4)),
    "GlobalAveragePooling1D": (layers.GlobalAveragePooling1D(), (9, 4)),
    "GlobalAveragePooling2D": (layers.GlobalAveragePooling2D(), (5, 5, 4)),
    "relu": (layers.ReLU(), (5, 4)),
    "relu6": (layers.ReLU(6), (5, 4)),
    "leaky_relu": (layers.LeakyReLU(0.1), (5, 4)),
    "softmax": (layers.Softmax(), (8,)),
    "sigmoid": (layers.Activation("sigmoid"), (8,)),
    "tanh": (layers.Activation("tanh"), (8,)),
    "AveragePooling1D": (layers.AveragePooling1D(2), (8, 4)),
    "AveragePooling2D": (layers.AveragePooling2D(2), (8, 8, 4)),
    "Concatenate": (_binary(layers.Concatenate()), (6,)),
    "MaxPooling1D": (layers.MaxPooling1D(2), (8, 4)),
    "MaxPooling2D": (layers.MaxPooling2D(3, 2, padding="same"), (8, 8, 4)),
    "GlobalMaxPooling1D": (layers.GlobalMaxPooling1D(), (8, 4)),
    "GlobalMaxPooling2D": (layers.GlobalMaxPooling2D(), (8, 8, 4)),
    "Reshape": (layers.Reshape((2, -1)), (4, 3)),
    "Flatten": (layers.Flatten(), (4, 3)),
    "Squeeze": (lambda x: keras.ops.squeeze(x, 1), (1, 5)),
    "ExpandDims": (lambda x: keras.ops.expand_dims(x, 1), (5,)),
    "Transpose": (lambda x: keras.ops.transpose(x, (0, 2, 1)), (4, 3)),
    "Permute": (layers.Permute((2, 1)), (4, 3)),
    "GetItem": (lambda x: x[:, 1:3], (5, 3)),
    "ZeroPadding1D": (layers.ZeroPadding1D(1), (5, 3)),
    "ZeroPadding2D": (layers.ZeroPadding2D(1), (5, 5, 3)),
    "Cropping1D": (layers.Cropping1D(1), (5, 3)),
    "Cropping2D": (layers.Cropping2D(1), (5, 5, 3)),
    "Identity": (layers.Identity(), (5,)),
    "linear": (layers.Activation("linear"), (5,)),
    "Dropout": (layers.Dropout(0.5), (5,)),
    "SpatialDropout1D": (layers.SpatialDropout1D(0.5), (5, 3)),
    "SpatialDropout2D": (layers.SpatialDropout2D(0.5), (5, 5, 3)),
    "GaussianNoise": (layers.GaussianNoise(0.5), (5,)),
    "ActivityRegularization": (layers.ActivityRegularization(l2=0.1), (5,)),
    # Taken apart by `decompose`.
    "Average": (_binary(layers.Average()), (6,)),
    "SeparableConv1D": (layers.SeparableConv1D(5, 3, activation="silu"), (9, 4)),
    "SeparableConv2D": (layers.SeparableConv2D(5, 3, strides=2, padding="same"), (9, 9, 4)),
    "hard_sigmoid": (layers.Activation("hard_sigmoid"), (8,)),
    "hard_silu": (layers.Activation("hard_silu"), (8,)),
    "silu": (layers.Dense(6, activation="silu"), (8,)),
}

assert CASES.keys() == {*TABLE, *DECOMPOSED}, CASES.keys() ^ {*TABLE, *DECOMPOSED}


def build(name: str, shape: tuple[int, ...] | None = None) -> keras.Model:
    """The row's operation with a dense layer behind it, so that its output is read by an int8 kernel."""
    apply, default = CASES[name]
    if isinstance(apply, keras.layers.Layer):
        apply = type(apply).from_config(apply.get_config())
    inputs = keras.Input(shape or default)
    x = apply(inputs)
    return keras.Model(inputs, layers.Dense(3, name="reader")(layers.Flatten(name="flat")(x)))
