"""Random networks in which channels meet in every way that Keras has: the promise of `shrink` holds in all."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from tests.models import trained_like

ACTIVATIONS = [
    *("relu", "relu6", "sigmoid", "softplus", "exponential", "hard_sigmoid", "tanh", "gelu", "silu"),
    *("elu", "leaky_relu", "softsign", "linear"),
]
WIDTHS = (4, 6, 8)


class Builder:
    """One network, made step by step from what was made before."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.steps: list[str] = []

    def pick(self, choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, part: float) -> bool:
        return self.rng.uniform() < part

    @property
    def width(self) -> int:
        return self.pick(WIDTHS)

    def like(self, x: Any) -> Any:
        """Another tensor of the same shape."""
        same = [other for other in self.pool if other.shape == x.shape and other is not x]
        return self.pick(same) if same and self.chance(0.6) else dense(self, x, units=x.shape[-1])

    def build(self) -> keras.Model:
        table = self.pick((IMAGE, SEQUENCE, VECTOR))
        inputs = keras.Input({id(IMAGE): (4, 4, 3), id(SEQUENCE): (4, 5), id(VECTOR): (5,)}[id(table)])
        self.pool: list[Any] = [FIRST[len(inputs.shape)](self, inputs)]
        self.steps = []
        for _ in range(int(self.rng.integers(3, 7))):
            x = self.pick(self.pool[-3:])
            step = self.pick(STEPS[len(x.shape)])
            made = step(self, x)
            if made is not None:
                self.steps.append(step.__name__)
                self.pool.extend(made if isinstance(made, (list, tuple)) else [made])
        return keras.Model(inputs, self.head(self.pool[-4:]))

    def head(self, tensors: list[Any]) -> Any:
        vectors = []
        for x in tensors:
            if len(x.shape) > 2:
                x = (
                    layers.Flatten()(x)
                    if self.chance(0.5)
                    else ops.mean(x, tuple(range(1, len(x.shape) - 1)))
                )
            vectors.append(x)
        x = layers.Concatenate()(vectors) if len(vectors) > 1 else vectors[0]
        return layers.Dense(3, name="head")(x)


Step = Callable[[Builder, Any], Any]


def convolution(b: Builder, x: Any) -> Any:
    size = b.pick((1, 2, 3)) if x.shape[1] > 3 else 1
    options = {
        "activation": b.pick(ACTIVATIONS),
        "use_bias": b.chance(0.7),
        "padding": b.pick(("same", "valid")),
    }
    return layers.Conv2D(b.width, size, **options)(x)


def transposed(b: Builder, x: Any) -> Any:
    if x.shape[1] > 4:
        return None
    return layers.Conv2DTranspose(b.width, 2, strides=b.pick((1, 2)), activation=b.pick(ACTIVATIONS))(x)


def depthwise(b: Builder, x: Any) -> Any:
    options = {"padding": "same", "activation": b.pick(ACTIVATIONS), "use_bias": b.chance(0.7)}
    if b.chance(0.5):
        return layers.SeparableConv2D(b.width, 3, depth_multiplier=b.pick((1, 2)), **options)(x)
    return layers.DepthwiseConv2D(3, depth_multiplier=b.pick((1, 2)), **options)(x)


def grouped(b: Builder, x: Any) -> Any:
    groups = b.pick([g for g in (1, 2, 4) if x.shape[-1] % g == 0])
    return layers.Conv2D(2 * groups, 1, groups=groups, activation=b.pick(ACTIVATIONS))(x)


def dense(b: Builder, x: Any, units: int | None = None) -> Any:
    return layers.Dense(units or b.width, activation=b.pick(ACTIVATIONS), use_bias=b.chance(0.7))(x)


def einsum_dense(b: Builder, x: Any) -> Any:
    equation, shape = b.pick((("abc,cd->abd", (x.shape[1], b.width)), ("abc,bd->adc", (3, x.shape[-1]))))
    biases = b.pick(("d", None))
    return layers.EinsumDense(equation, shape, bias_axes=biases, activation=b.pick(ACTIVATIONS))(x)


def norm(b: Builder, x: Any) -> Any:
    groups = b.pick([g for g in (-1, 1, 2, 3, 4) if x.shape[-1] % abs(g) == 0])
    return b.pick(
        (
            lambda: layers.BatchNormalization(scale=b.chance(0.7), center=b.chance(0.7)),
            lambda: layers.BatchNormalization(),
            lambda: layers.LayerNormalization(),
            lambda: layers.GroupNormalization(groups),
            lambda: layers.RMSNormalization(),
            lambda: layers.UnitNormalization(),
        )
    )()(x)


def activation(b: Builder, x: Any) -> Any:
    return b.pick(
        (
            lambda: layers.Activation(b.pick(ACTIVATIONS))(x),
            lambda: ops.sigmoid(x),
            lambda: layers.PReLU()(x),
            lambda: softmax(x, b.pick((1, -1))),
            lambda: ops.exp(ops.tanh(x)),
        )
    )()


def softmax(x: Any, axis: int) -> Any:
    """Keras warns of an axis of one element."""
    return layers.Softmax(axis=axis)(x) if x.shape[axis] > 1 else None


def arithmetic(b: Builder, x: Any) -> Any:
    if b.chance(0.3):
        return b.pick((lambda: x + 0.5, lambda: 2.0 * x, lambda: 1.0 - x, lambda: x / 3.0))()
    layer = b.pick((layers.Add, layers.Multiply, layers.Maximum, layers.Subtract, layers.Average))
    return layer()([x, b.like(x)])


def concatenate(b: Builder, x: Any) -> Any:
    alike = [other for other in b.pool if other.shape[:-1] == x.shape[:-1]]
    return layers.Concatenate()([x, b.pick(alike), *([b.pick(alike)] if b.chance(0.3) else [])])


def split(b: Builder, x: Any) -> Any:
    size = x.shape[-1]
    cut = int(b.rng.integers(1, size)) if size > 1 else 1
    return b.pick(
        (
            lambda: ops.split(x, 2, axis=-1) if size % 2 == 0 else x[..., :cut],
            lambda: (x[..., :cut], x[..., cut:] if cut < size else x),
            lambda: x[..., cut - 1 : cut + 2],
            lambda: ops.split(x, [cut], axis=-1) if cut < size else x,
        )
    )()


def partial_block(b: Builder, x: Any) -> Any:
    """C2f, CSP: a part goes through a residual block, and all parts are joined under one norm."""
    size = x.shape[-1]
    if size < 2:
        return None
    left, right = x[..., : size // 2], x[..., size // 2 :]
    right = layers.Add()([right, dense(b, right, units=right.shape[-1])])
    return norm(b, layers.Concatenate()([left, right] if b.chance(0.5) else [left, x, right]))


def pool(b: Builder, x: Any) -> Any:
    options = {"padding": b.pick(("same", "valid")) if x.shape[1] > 1 else "same"}
    return b.pick(
        (
            lambda: layers.ZeroPadding2D(1)(x) if x.shape[1] < 6 else None,
            lambda: layers.AveragePooling2D(2, 1, **options)(x),
            lambda: layers.MaxPooling2D(2, 1, **options)(x),
            lambda: (
                layers.UpSampling2D(2, interpolation=b.pick(("nearest", "bilinear")))(x)
                if x.shape[1] < 4
                else None
            ),
        )
    )()


def gate(b: Builder, x: Any) -> Any:
    y = ops.mean(x, tuple(range(1, len(x.shape) - 1)), keepdims=True)
    y = layers.Dense(4, activation="relu")(y)
    return x * layers.Dense(x.shape[-1], activation=b.pick(("sigmoid", "hard_sigmoid")))(y)


def shuffle(b: Builder, x: Any) -> Any:
    size = x.shape[-1]
    if size % 2:
        return None
    y = ops.swapaxes(ops.reshape(x, (-1, *x.shape[1:-1], 2, size // 2)), -1, -2)
    return layers.Reshape(x.shape[1:])(y)


def shared(b: Builder, x: Any) -> Any:
    layer = layers.Dense(x.shape[-1], activation=b.pick(ACTIVATIONS))
    x = layer(x)
    return [x, layer(norm(b, x) if b.chance(0.5) else x)]


def windows(b: Builder, x: Any) -> Any:
    """Attention within windows, each of which is a sample."""
    height, width, channels = x.shape[1:]
    if height % 2 or width % 2:
        return None
    y = ops.reshape(x, (-1, height // 2, 2, width // 2, 2, channels))
    y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, 4, channels))
    y = attention(b, y)
    size = y.shape[-1]
    y = ops.reshape(y, (-1, height // 2, width // 2, 2, 2, size))
    return ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, height, width, size))


def into_batch(b: Builder, x: Any) -> Any:
    y = dense(b, ops.reshape(x, (-1, x.shape[-1])))
    return ops.reshape(y, (-1, *x.shape[1:-1], y.shape[-1]))


def time_distributed(b: Builder, x: Any) -> Any:
    return layers.TimeDistributed(layers.Dense(b.width, activation=b.pick(ACTIVATIONS)))(x)


def tokens(b: Builder, x: Any) -> Any:
    return layers.Reshape((-1, x.shape[-1]))(x)


def attention(b: Builder, x: Any) -> Any:
    layer = layers.MultiHeadAttention(2, 3, dropout=b.pick((0.0, 0.1)), use_bias=b.chance(0.7))
    y = layer(x, x)
    return layers.LayerNormalization()(x + y) if b.chance(0.5) else y


def across_positions(b: Builder, x: Any) -> Any:
    return layers.Permute((2, 1))(
        layers.Dense(x.shape[1], activation=b.pick(ACTIVATIONS))(layers.Permute((2, 1))(x))
    )


def convolution_1d(b: Builder, x: Any) -> Any:
    padding = b.pick(("same", "causal", "valid")) if x.shape[1] > 2 else "same"
    return layers.Conv1D(b.width, 3, padding=padding, activation=b.pick(ACTIVATIONS))(x)


def recurrent(b: Builder, x: Any) -> Any:
    layer = b.pick((layers.SimpleRNN, layers.LSTM, layers.GRU))
    if layer is layers.GRU:
        made = layer(b.pick((3, 4)), return_sequences=True, reset_after=b.chance(0.5))
    else:
        made = layer(b.pick((3, 4)), return_sequences=True, use_bias=b.chance(0.7))
    return (layers.Bidirectional(made) if b.chance(0.3) else made)(x)


def pooled(b: Builder, x: Any) -> Any:
    if len(x.shape) == 3:
        return b.pick((layers.GlobalAveragePooling1D(), layers.GlobalMaxPooling1D(), layers.Flatten()))(x)
    return b.pick((layers.GlobalAveragePooling2D(), layers.GlobalMaxPooling2D(), layers.Flatten()))(x)


def normalize(b: Builder, x: Any) -> Any:
    return ops.normalize(x, axis=b.pick((-1, 1)))


def unstacked(b: Builder, x: Any) -> Any:
    parts = ops.unstack(x, axis=1)
    return ops.stack(parts[::-1], axis=1) if b.chance(0.5) else list(parts[:2])


def depth_to_space(b: Builder, x: Any) -> Any:
    """In the order of PyTorch: the channel first, then its place."""
    height, width, channels = x.shape[1:]
    if channels % 4 or height > 4:
        return None
    y = ops.reshape(x, (-1, height, width, channels // 4, 2, 2))
    return ops.reshape(ops.transpose(y, (0, 1, 4, 2, 5, 3)), (-1, 2 * height, 2 * width, channels // 4))


def repeated(b: Builder, x: Any) -> Any:
    return layers.RepeatVector(3)(x)


COMMON: tuple[Step, ...] = (dense, norm, activation, arithmetic, concatenate, split, partial_block, shared)
IMAGE: tuple[Step, ...] = (
    *(convolution, convolution, transposed, depthwise, grouped, norm, pool, gate, shuffle, windows),
    *(into_batch, tokens, pooled, depth_to_space, normalize, unstacked),
    *COMMON,
)
SEQUENCE: tuple[Step, ...] = (
    *(einsum_dense, attention, across_positions, convolution_1d, recurrent, gate, shuffle, into_batch),
    *(time_distributed, pooled, normalize, unstacked, norm),
    *COMMON,
)
VECTOR: tuple[Step, ...] = (*COMMON, dense, shuffle, normalize, repeated)
STEPS = {4: IMAGE, 3: SEQUENCE, 2: VECTOR}
FIRST: dict[int, Step] = {4: convolution, 3: dense, 2: dense}


def random_model(seed: int) -> keras.Model:
    """The network of a seed, with weights as after training."""
    keras.utils.set_random_seed(seed)
    return trained_like(Builder(seed).build(), seed)
