"""The networks that people bring, built tiny: vision and speech transformers, recurrent ones, segmentation.

`tests/test_networks.py` holds what becomes of them; `python -m tests.benchmarks.networks` prints the table of
`docs/networks.md`.
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from tests.models import samples_for
from tests.quantization.battery import vision_transformer

CLASSES = 4


@keras.saving.register_keras_serializable(package="tests")
class WindowAttention(layers.Layer):
    """Attention within windows, with a learned bias for each offset of two pixels (Liu et al. 2021, arXiv 2103.14030).

    Args:
        size: the side of a window.
        heads: the number of heads.
        shift: pixels by which the windows are moved; those that wrap around do not see the others.
        **kwargs: those of every layer.
    """

    def __init__(self, size: int, heads: int, shift: int = 0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.size, self.heads, self.shift = size, heads, shift

    def build(self, shape) -> None:
        _, height, width, channels = shape
        self.qkv, self.projection = layers.Dense(3 * channels), layers.Dense(channels)
        self.qkv.build(shape)
        self.projection.build(shape)
        offsets = (2 * self.size - 1) ** 2
        normal = keras.initializers.RandomNormal(stddev=0.5, seed=0)
        self.bias_table = self.add_weight(shape=(offsets, self.heads), initializer=normal, name="bias_table")
        at = np.stack(np.meshgrid(*[np.arange(self.size)] * 2, indexing="ij")).reshape(2, -1)
        apart = at[:, :, None] - at[:, None, :] + self.size - 1
        self.index = apart[0] * (2 * self.size - 1) + apart[1]
        self.mask = self._mask(height, width) if self.shift else None
        self.built = True

    def _mask(self, height: int, width: int) -> np.ndarray:
        """-100 between pixels of a window that were not beside each other: (windows, 1, pixels, pixels)."""
        cuts = (slice(-self.size), slice(-self.size, -self.shift), slice(-self.shift, None))
        regions = np.zeros((height, width))
        for number, (rows, columns) in enumerate((rows, columns) for rows in cuts for columns in cuts):
            regions[rows, columns] = number
        grid = regions.reshape(height // self.size, self.size, width // self.size, self.size)
        windows = grid.transpose(0, 2, 1, 3).reshape(-1, self.size**2)
        apart = windows[:, None, :] != windows[:, :, None]
        return np.where(apart, -100.0, 0.0).astype("float32")[:, None]

    def call(self, x):
        _, height, width, channels = x.shape
        if self.shift:
            x = ops.roll(x, (-self.shift, -self.shift), axis=(1, 2))
        high, wide, pixels = height // self.size, width // self.size, self.size**2
        x = ops.reshape(x, (-1, high, self.size, wide, self.size, channels))
        x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, pixels, channels))
        qkv = ops.reshape(self.qkv(x), (-1, pixels, 3, self.heads, channels // self.heads))
        query, key, value = ops.unstack(ops.transpose(qkv, (2, 0, 3, 1, 4)), axis=0)
        query = query * (channels // self.heads) ** -0.5
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
        bias = ops.take(self.bias_table, self.index.reshape(-1), axis=0)
        bias = ops.transpose(ops.reshape(bias, (pixels, pixels, self.heads)), (2, 0, 1))
        scores = scores + ops.expand_dims(bias, 0)
        if self.mask is not None:
            scores = ops.reshape(scores, (-1, high * wide, self.heads, pixels, pixels)) + self.mask
            scores = ops.reshape(scores, (-1, self.heads, pixels, pixels))
        x = ops.transpose(ops.matmul(ops.softmax(scores), value), (0, 2, 1, 3))
        x = self.projection(ops.reshape(x, (-1, pixels, channels)))
        x = ops.reshape(x, (-1, high, wide, self.size, self.size, channels))
        x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, height, width, channels))
        return ops.roll(x, (self.shift, self.shift), axis=(1, 2)) if self.shift else x

    def get_config(self):
        return {**super().get_config(), "size": self.size, "heads": self.heads, "shift": self.shift}


def swin() -> keras.Model:
    """Two blocks, the second with moved windows, and a merge of patches."""
    inputs = keras.Input((16, 16, 3))
    x = layers.LayerNormalization()(layers.Conv2D(8, 2, strides=2)(inputs))
    for shift in (0, 2):
        y = WindowAttention(4, 2, shift)(layers.LayerNormalization()(x))
        x = layers.Add()([x, y])
        y = layers.Dense(16, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(8)(y)])
    x = layers.Concatenate()([x[:, i::2, j::2] for j in range(2) for i in range(2)])
    x = layers.Dense(16, use_bias=False)(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x)))


def conformer() -> keras.Model:
    """A block of Gulati et al. 2020 (arXiv 2005.08100): half a feed-forward, attention, convolution, the other half."""
    inputs = keras.Input((20, 8))
    x = layers.Dense(8)(inputs)

    def half(x):
        y = layers.Dense(16, activation="swish")(layers.LayerNormalization()(x))
        return x + 0.5 * layers.Dropout(0.1)(layers.Dense(8)(y))

    x = half(x)
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(y, y)])
    y = layers.Conv1D(16, 1)(layers.LayerNormalization()(x))
    first, gate = ops.split(y, 2, axis=-1)
    y = layers.DepthwiseConv1D(5, padding="same")(first * ops.sigmoid(gate))
    y = layers.Activation("swish")(layers.BatchNormalization()(y))
    x = layers.Add()([x, layers.Conv1D(8, 1)(y)])
    x = layers.LayerNormalization()(half(x))
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(x)))


def convnext() -> keras.Model:
    """`keras.applications.ConvNeXtTiny` on the smallest image that its strides leave something of."""
    shape = {"input_shape": (32, 32, 3), "include_preprocessing": False}
    return keras.applications.ConvNeXtTiny(weights=None, classes=CLASSES, classifier_activation=None, **shape)


def convnext_blocks() -> keras.Model:
    """What `ConvNeXtTiny` is made of, a block of it in each of two stages (Liu et al. 2022, arXiv 2201.03545)."""
    inputs = keras.Input((16, 16, 3))
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Conv2D(8, 4, strides=4)(inputs))
    for width in (8, 12):
        if width > 8:
            x = layers.Conv2D(width, 2, strides=2)(layers.LayerNormalization(epsilon=1e-6)(x))
        y = layers.Conv2D(width, 7, padding="same", groups=width)(x)
        y = layers.Dense(4 * width, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(y))
        x = layers.Add()([x, layers.Dense(width)(y) * 0.5])
    x = layers.LayerNormalization(epsilon=1e-6)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def keyword_net(recurrent: Callable[[int], layers.Layer], steps: int = 49, units: int = 64) -> keras.Model:
    """Speech features of a second, 10 numbers in each of 49 steps, through one recurrent layer."""
    inputs = keras.Input((steps, 10))
    return keras.Model(inputs, layers.Dense(12)(recurrent(units)(inputs)))


def crnn() -> keras.Model:
    """Convolutions over time and frequency, then a recurrent layer each way (Arik et al. 2017, arXiv 1703.05390)."""
    inputs = keras.Input((20, 10, 1))
    x = layers.Conv2D(4, (5, 3), strides=(2, 2), padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Reshape((10, 20))(x)
    x = layers.Bidirectional(layers.GRU(6, return_sequences=True))(x)
    x = layers.Bidirectional(layers.LSTM(6))(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.Dense(8, activation="relu")(x)))


def deeplab() -> keras.Model:
    """Dilated convolutions beside the mean of the image, and resizing back (Chen et al. 2018, arXiv 1802.02611)."""

    def convolution(x, filters, size, **kwargs):
        x = layers.Conv2D(filters, size, padding="same", use_bias=False, **kwargs)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    inputs = keras.Input((32, 32, 3))
    low = convolution(inputs, 6, 3, strides=2)
    x = convolution(convolution(low, 8, 3, strides=2), 8, 3, strides=2)
    pooled = convolution(layers.GlobalAveragePooling2D(keepdims=True)(x), 6, 1)
    branches = [layers.UpSampling2D(4, interpolation="bilinear")(pooled), convolution(x, 6, 1)]
    branches += [convolution(x, 6, 3, dilation_rate=rate) for rate in (1, 2)]
    x = convolution(layers.Concatenate()(branches), 8, 1)
    x = layers.Resizing(16, 16, interpolation="bilinear")(x)
    x = convolution(layers.Concatenate()([x, convolution(low, 4, 1)]), 8, 3)
    x = layers.Conv2D(3, 1)(x)
    return keras.Model(inputs, ops.image.resize(x, (32, 32), interpolation="bilinear"))


def transformer() -> keras.Model:
    """Encoder and decoder of words, in which 0 is padding: masks of padding in all attentions, a causal one beside."""

    def embedded(name):
        words = keras.Input((8,), dtype="int32", name=name)
        x = layers.Embedding(11, 8, mask_zero=True, embeddings_initializer=spread)(words)
        return words, x

    def attended(x, other, **kwargs):
        return layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, other, **kwargs))

    def fed_forward(x):
        return layers.LayerNormalization()(x + layers.Dense(8)(layers.Dense(16, activation="relu")(x)))

    spread = keras.initializers.RandomNormal(stddev=1.0, seed=0)
    source, x = embedded("source")
    x = fed_forward(attended(x, x))
    target, y = embedded("target")
    y = attended(y, y, use_causal_mask=True)
    y = fed_forward(attended(y, x))
    return keras.Model([source, target], layers.Dense(11)(y))


def _words(model: keras.Model, count: int) -> list[np.ndarray]:
    """Sentences of two to eight words, and zeros behind them."""
    rng = np.random.default_rng(1)
    ids = [rng.integers(1, 11, (count, 8)) for _ in range(2)]
    ends = [rng.integers(2, 9, (count, 1)) for _ in range(2)]
    return [
        np.where(np.arange(8) < end, each, 0).astype("int32") for each, end in zip(ids, ends, strict=True)
    ]


@dataclasses.dataclass(frozen=True)
class Network:
    """A row of the table.

    Attributes:
        make: builds it.
        samples: so many inputs for it.
        on_cpu: how many operators Vela 5.2 leaves to the CPU beside an Ethos-U55, by name.
    """

    make: Callable[[], keras.Model]
    samples: Callable[[keras.Model, int], object] = samples_for
    on_cpu: dict[str, int] = dataclasses.field(default_factory=dict)


# Masks that are computed from words.
_OF_MASKS = {"GATHER": 2, "NOT_EQUAL": 2, "RESHAPE": 6, "LOGICAL_AND": 3, "SELECT_V2": 2}
NETWORKS: dict[str, Network] = {
    "ViT": Network(vision_transformer),
    "Swin blocks": Network(swin),
    "Conformer block": Network(conformer),
    "ConvNeXt blocks": Network(convnext_blocks),
    "LSTM keyword net": Network(lambda: keyword_net(layers.LSTM)),
    "GRU keyword net": Network(lambda: keyword_net(layers.GRU)),
    "Bi-LSTM": Network(lambda: keyword_net(lambda units: layers.Bidirectional(layers.LSTM(units)), 12, 8)),
    "CRNN": Network(crnn),
    "DeepLab-like": Network(deeplab, on_cpu={"RESIZE_BILINEAR": 1}),
    "Transformer": Network(transformer, _words, on_cpu=_OF_MASKS),
}
# Those that take minutes: measured, and not tested.
LARGE: dict[str, Network] = {"ConvNeXtTiny": Network(convnext)}
