"""Networks that are built with whichever Keras is given: Keras 3, `tf_keras`, or the one in TensorFlow 2.15.

Peers live on Keras 2. A network of both is made of what both have; layers with weights have the same names.
"""

from typing import Any


def resnet8(library: Any, activation: str | None = "softmax") -> Any:
    """The image classification network of MLPerf Tiny (78,666 parameters)."""
    layers = library.layers

    def convolution(x: Any, filters: int, size: int, strides: int) -> Any:
        x = layers.Conv2D(filters, size, strides=strides, padding="same")(x)
        return layers.BatchNormalization()(x)

    inputs = library.Input((32, 32, 3))
    x = layers.Activation("relu")(convolution(inputs, 16, 3, 1))
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        y = layers.Activation("relu")(convolution(x, filters, 3, strides))
        y = convolution(y, filters, 3, 1)
        if strides > 1:
            x = layers.Conv2D(filters, 1, strides=strides, padding="same")(x)
        x = layers.Activation("relu")(layers.Add()([x, y]))
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    return library.Model(inputs, layers.Dense(10, activation=activation)(x))


def mobilenet_v2(library: Any, alpha: float = 1.0, size: int = 96, activation: str | None = "softmax") -> Any:
    """MobileNetV2 for square images and ten classes.

    Its batch norms forget in tens of steps, not in thousands, before which a short training is over.
    """
    arguments = {"weights": None, "classes": 10, "classifier_activation": activation}
    model = library.applications.MobileNetV2((size, size, 3), alpha, **arguments)
    for layer in model.layers:
        if isinstance(layer, library.layers.BatchNormalization):
            layer.momentum = 0.9
    return model


def ds_cnn(library: Any, size: int, filters: int = 32) -> Any:
    """Depthwise separable convolutions on one channel, as MLPerf Tiny's keyword spotter has them; logits."""
    layers = library.layers

    def normalized(x: Any) -> Any:
        return layers.Activation("relu")(layers.BatchNormalization()(x))

    inputs = library.Input((size, size, 1))
    x = normalized(layers.Conv2D(filters, 3, padding="same", use_bias=False)(inputs))
    for strides in (2, 1, 1):
        x = normalized(layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x))
        x = normalized(layers.Conv2D(filters, 1, use_bias=False)(x))
    return library.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def lstm(library: Any, units: int = 64) -> Any:
    """Reads an image of 28 x 28 row by row; logits."""
    layers = library.layers
    inputs = library.Input((28, 28))
    return library.Model(inputs, layers.Dense(10)(layers.LSTM(units)(inputs)))


def vit(library: Any, width: int = 32, heads: int = 4, blocks: int = 2) -> Any:
    """A small vision transformer: patches of 4 x 4 pixels of an image of 28 x 28; logits.

    A depthwise convolution tells patches where they are (Chu et al. 2021, arXiv 2102.10882): a table of positions
    cannot be written alike in all versions of Keras.
    """
    layers = library.layers
    inputs = library.Input((28, 28, 1))
    x = layers.Conv2D(width, 4, strides=4)(inputs)
    x = layers.Add()([x, layers.DepthwiseConv2D(3, padding="same")(x)])
    x = layers.Reshape((49, width))(x)
    for _ in range(blocks):
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(heads, width // heads)(y, y)])
        y = layers.Dense(2 * width, activation="relu")(layers.LayerNormalization(epsilon=1e-5)(x))
        x = layers.Add()([x, layers.Dense(width)(y)])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-5)(x))
    return library.Model(inputs, layers.Dense(10)(x))


def autoencoder(library: Any) -> Any:
    """The anomaly detector of MLPerf Tiny (269,992 parameters): ten dense layers around a bottleneck of 8."""
    layers = library.layers
    x = inputs = library.Input((640,))
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = layers.Activation("relu")(layers.BatchNormalization()(layers.Dense(units)(x)))
    return library.Model(inputs, layers.Dense(640)(x))
