"""The network that `compress` is tried on."""

import keras


def net(units: int, activation: str | None = None) -> keras.Model:
    x = inputs = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Conv2D(8, 3, use_bias=False, name="first")(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Conv2D(16, 3, strides=2, activation="relu", name="second")(x)
    x = keras.layers.Dense(units, activation=activation, name="head")(
        keras.layers.GlobalAveragePooling2D()(x)
    )
    return keras.Model(inputs, x, name="net")
