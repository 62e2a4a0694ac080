"""One row per operation of the placement table: a layer and the shape of its input."""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from tests.conversion.masked import MASKED, MASKED_RECURRENT
from tests.conversion.recurrent import RECURRENT
from tfopt.graph import AUGMENTATIONS
from tfopt.kernels import LEFT_OUT, AddMask, FixedRange, Requantize, ScaleShift, StepState
from tfopt.kernels._operations import OPERATIONS
from tfopt.quantization.placement._decompose import DECOMPOSITIONS as DECOMPOSED


def _binary(layer: keras.layers.Layer) -> Callable:
    return lambda x: layer([layers.Dense(4)(x), layers.Dense(4)(x)])


def _after_dense(function: Callable) -> Callable:
    """The operation between two kernels with weights, where most stand."""
    return lambda x: function(layers.Dense(4)(x))


def _of_positive(function: Callable) -> Callable:
    """The operation on numbers of at least 0.5."""
    return lambda x: function(layers.ReLU()(x) + 0.5)


def _activation(name: str) -> tuple[Callable, tuple[int, ...]]:
    return _after_dense(layers.Activation(name)), (6,)


@keras.saving.register_keras_serializable(package="tests")
class LayerScale(layers.Layer):
    """As in ConvNeXt."""

    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), name="gamma")

    def call(self, x):
        return x * self.gamma


@keras.saving.register_keras_serializable(package="tests")
class DropPath(layers.Layer):
    """Acts in training alone."""

    def call(self, x, training=None):
        return keras.random.dropout(x, 0.5) if training else x


# What a product or a convolution of `keras.ops` is given.
KERNEL = np.random.default_rng(3).normal(size=(3, 3, 4, 2)).astype("float32")

# Layers that change images in training only, with the arguments that they must have.
_NEEDED = {
    "RandomPosterization": {"factor": 4},
    "RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1},
    "RandomZoom": {"height_factor": 0.1},
}
_FACTOR = [
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomContrast",
    "RandomHue",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
]


def _augmenting(name: str) -> keras.layers.Layer:
    needed = _NEEDED.get(name, {"factor": 0.1} if name in _FACTOR else {})
    return getattr(layers, name)(**needed)


# Kind of operation -> (what to apply to the input, input shape without the batch).
CASES: dict[str, tuple[Callable, tuple[int, ...]]] = {
    "Dense": (layers.Dense(5), (7,)),
    "Conv1D": (layers.Conv1D(5, 3, padding="causal", dilation_rate=2), (9, 4)),
    "Conv2D": (layers.Conv2D(5, 3, strides=2, padding="same"), (9, 8, 4)),
    "LSTM": (layers.LSTM(3, return_sequences=True), (5, 4)),
    "Conv2DTranspose": (layers.Conv2DTranspose(5, 3, strides=2, padding="same"), (4, 4, 3)),
    "DepthwiseConv1D": (layers.DepthwiseConv1D(3, depth_multiplier=2), (9, 3)),
    "DepthwiseConv2D": (layers.DepthwiseConv2D(3, depth_multiplier=2), (7, 7, 3)),
    "BatchNormalization": (layers.BatchNormalization(), (5, 5, 4)),
    "Add": (_binary(layers.Add()), (6,)),
    "Subtract": (_binary(layers.Subtract()), (6,)),
    "Multiply": (_binary(layers.Multiply()), (6,)),
    "Divide": (lambda x: ops.divide(x, 3.0), (5, 4)),
    "TrueDivide": (lambda x: x / 3.0, (5, 4)),
    "Rescaling": (layers.Rescaling(0.1, offset=-2.0), (5, 5, 3)),
    "Normalization": (layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[0.1, 1.0, 4.0]), (5, 5, 3)),
    "Mean": (lambda x: ops.mean(x, axis=(1, 2)), (5, 5, 4)),
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
    "Squeeze": (lambda x: ops.squeeze(x, 1), (1, 5)),
    "ExpandDims": (lambda x: ops.expand_dims(x, 1), (5,)),
    "Transpose": (lambda x: ops.transpose(x, (0, 2, 1)), (4, 3)),
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
    "EinsumDense": (
        layers.EinsumDense("abc,dec->adbe", (3, 5, 2), bias_axes="de", activation="relu"),
        (5, 4),
    ),
    "Conv1DTranspose": (layers.Conv1DTranspose(5, 3, strides=2, padding="same"), (4, 3)),
    "Embedding": (lambda x: layers.Embedding(8, 4)(ops.argmax(x, -1)), (3, 8)),
    "PReLU": (layers.PReLU(shared_axes=[1]), (5, 4)),
    "LayerScale": (lambda x: LayerScale()(x), (5, 4)),
    "Argmax": (lambda x: layers.Embedding(5, 4)(ops.argmax(x, axis=-1)), (3, 5)),
    "Matmul": (lambda x: ops.matmul(x, ops.transpose(x, (0, 2, 1))), (5, 6)),
    "Einsum": (lambda x: ops.einsum("abc,adc->abd", x, x), (5, 6)),
    "Dot": (lambda x: layers.Dot((2, 2))([x, layers.Dense(6)(x)]), (5, 6)),
    "Absolute": (_after_dense(ops.abs), (6,)),
    "Exp": (_after_dense(ops.exp), (6,)),
    "Log": (_of_positive(ops.log), (5, 4)),
    "Reciprocal": (_of_positive(ops.reciprocal), (5, 4)),
    "Rsqrt": (_of_positive(ops.rsqrt), (5, 4)),
    "Sum": (lambda x: ops.sum(x, axis=1), (5, 4)),
    "GlobalAveragePooling3D": (layers.GlobalAveragePooling3D(), (3, 3, 3, 4)),
    "hard_tanh": _activation("hard_tanh"),
    "gelu": _activation("gelu"),
    "exponential": _activation("exponential"),
    "log_softmax": _activation("log_softmax"),
    "UpSampling2D": (layers.UpSampling2D(2, interpolation="bilinear"), (4, 4, 3)),
    "Resizing": (layers.Resizing(7, 7), (4, 4, 3)),
    "Resize": (lambda x: ops.image.resize(x, (8, 8), interpolation="nearest"), (4, 4, 3)),
    "Clip": (_after_dense(lambda x: ops.clip(x, -0.5, 0.7)), (6,)),
    "Pad": (lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 0)), constant_values=1.0), (5, 3)),
    "Maximum": (_binary(layers.Maximum()), (6,)),
    "Minimum": (_after_dense(lambda x: ops.minimum(x, 0.3)), (6,)),
    "Stack": (lambda x: ops.stack([x, layers.Dense(4)(x)], axis=1), (5, 4)),
    "Where": (lambda x: ops.where(np.eye(4, dtype=bool)[None], x, layers.Dense(4)(x)), (4, 4)),
    "Greater": (lambda x: ops.where(x > 0.1, x, layers.Dense(4)(x)), (5, 4)),
    "GreaterEqual": (lambda x: ops.where(x >= layers.Dense(4)(x), x, 0.0), (5, 4)),
    "Less": (lambda x: ops.where(x < 0.0, x, layers.Dense(4)(x)), (5, 4)),
    "LessEqual": (lambda x: ops.where(x <= -0.2, x, layers.Dense(4)(x)), (5, 4)),
    "Cast": (lambda x: ops.cast(ops.cast(x, "float16"), "float32"), (5,)),
    "Take": (lambda x: ops.take(x, [0, 2, 1], axis=1), (5, 3)),
    "GlobalMaxPooling3D": (layers.GlobalMaxPooling3D(), (3, 3, 3, 4)),
    "Max": (lambda x: ops.max(x, axis=1), (5, 4)),
    "Min": (lambda x: ops.min(x, axis=-1), (5, 4)),
    "Ravel": (lambda x: ops.reshape(ops.ravel(x), (-1, 20)), (5, 4)),
    "Swapaxes": (lambda x: ops.swapaxes(x, 1, 2), (5, 4)),
    "Moveaxis": (lambda x: ops.moveaxis(x, 1, 2), (5, 4)),
    "Flip": (lambda x: ops.flip(x, axis=1), (5, 4)),
    "Roll": (lambda x: ops.roll(x, 1, axis=1), (5, 4)),
    "DepthToSpace": (_after_dense(lambda x: ops.depth_to_space(x, 2)), (4, 4, 4)),
    "SpaceToDepth": (_after_dense(lambda x: ops.space_to_depth(x, 2)), (4, 4, 4)),
    "Split": (lambda x: ops.add(*ops.split(x, 3, axis=-1)[:2]), (5, 6)),
    "ArraySplit": (lambda x: ops.concatenate(ops.array_split(x, 3, axis=-1)[::-1], axis=-1), (5, 7)),
    "Unstack": (lambda x: ops.unstack(x, axis=1)[1], (3, 5)),
    "Tile": (lambda x: ops.tile(x, (1, 2, 1)), (5, 4)),
    "Repeat": (lambda x: ops.repeat(x, 2, axis=1), (5, 4)),
    "RepeatVector": (layers.RepeatVector(3), (5,)),
    "ZeroPadding3D": (layers.ZeroPadding3D(1), (3, 3, 3, 2)),
    "Cropping3D": (layers.Cropping3D(1), (3, 3, 3, 2)),
    "UpSampling1D": (layers.UpSampling1D(2), (5, 3)),
    "UpSampling3D": (layers.UpSampling3D(2), (2, 2, 2, 3)),
    "SpatialDropout3D": (layers.SpatialDropout3D(0.5), (3, 3, 3, 2)),
    "AlphaDropout": (layers.AlphaDropout(0.5), (5,)),
    "GaussianDropout": (layers.GaussianDropout(0.5), (5,)),
    **{name: (_augmenting(name), (6, 6, 3)) for name in sorted(AUGMENTATIONS)},
    "AddMask": (
        lambda x: Requantize(None)(
            ops.softmax(AddMask()(Requantize(16)(x), np.float32([0, LEFT_OUT, 0, 0])))
        ),
        (5, 4),
    ),
    "FixedRange": (lambda x: FixedRange(-8.0, 7.0)(layers.Dense(4)(x)), (6,)),
    "StepState": (_after_dense(StepState()), (6,)),
    "Requantize": (lambda x: Requantize(None)(ops.abs(Requantize(16)(x))), (5, 4)),
    "ScaleShift": (lambda x: ScaleShift()(x), (5, 4)),
    # Taken apart by `decompose`.
    "Attention": (lambda x: layers.Attention()([x, x]), (5, 6)),
    "AveragePool": (_after_dense(lambda x: ops.average_pool(x, 2)), (8, 4)),
    "Average": (_binary(layers.Average()), (6,)),
    "AveragePooling3D": (layers.AveragePooling3D(2, padding="same"), (3, 4, 5, 2)),
    "Conv": (_after_dense(lambda x: ops.conv(x, KERNEL, strides=2)), (9, 9, 4)),
    "Conv3D": (layers.Conv3D(3, 3, strides=2, padding="same", activation="relu"), (6, 5, 5, 2)),
    "DepthwiseConv": (_after_dense(lambda x: ops.depthwise_conv(x, KERNEL, padding="same")), (5, 5, 4)),
    "DotProductAttention": (lambda x: layers.MultiHeadAttention(2, 3)(x, x), (5, 6)),
    "MaxPool": (_after_dense(lambda x: ops.max_pool(x, 2)), (8, 8, 4)),
    "MaxPooling3D": (layers.MaxPooling3D((2, 1, 3), padding="same"), (3, 4, 5, 2)),
    "Equal": (lambda x: ops.where(ops.equal(ops.relu(x), 0.0), layers.Dense(4)(x), x), (5, 4)),
    "Masking": (lambda x: layers.Masking()(ops.relu(x)), (5, 2)),
    "Negative": (_after_dense(ops.negative), (6,)),
    "NotEqual": (lambda x: ops.where(ops.not_equal(ops.clip(x, 0.3, 1), 0.3), x, 0.0), (5, 4)),
    "GroupNormalization": (layers.GroupNormalization(2), (5, 6)),
    "LayerNorm": (lambda x: ops.layer_normalization(x, np.linspace(1, 2, 8, dtype="float32")), (5, 8)),
    "LayerNormalization": (layers.LayerNormalization(), (5, 8)),
    "Norm": (lambda x: ops.norm(x, axis=-1), (5, 4)),
    "Normalize": (lambda x: ops.normalize(x, axis=1), (5, 4)),
    "RMSNorm": (lambda x: ops.rms_normalization(x), (5, 8)),
    "RMSNormalization": (layers.RMSNormalization(), (5, 8)),
    "Sqrt": (_of_positive(ops.sqrt), (5, 4)),
    "Std": (lambda x: ops.std(x, axis=(1, 2)), (5, 4, 3)),
    "UnitNormalization": (layers.UnitNormalization(), (5, 4)),
    "Var": (lambda x: ops.var(x, axis=1, keepdims=True), (5, 4)),
    "CropImages": (lambda x: ops.image.crop_images(x, 1, 2, target_height=3, target_width=2), (5, 6, 3)),
    "Expm1": (_after_dense(ops.expm1), (6,)),
    "ExtractPatches": (lambda x: ops.image.extract_patches(x, (2, 3), 2, padding="same"), (5, 6, 3)),
    "FullLike": (lambda x: x + ops.full_like(x, 0.5), (5, 4)),
    "Log1p": (_of_positive(ops.log1p), (5, 4)),
    "OnesLike": (lambda x: ops.concatenate([x, ops.ones_like(x[..., :1])], axis=-1), (5, 6, 3)),
    "PadImages": (lambda x: ops.image.pad_images(x, 1, 2, target_height=8, target_width=9), (5, 6, 3)),
    "Real": (_after_dense(ops.real), (6,)),
    "Rot90": (lambda x: ops.rot90(x, axes=(1, 2)), (5, 6, 3)),
    "ZerosLike": (lambda x: ops.concatenate([x, ops.zeros_like(x)], axis=-1), (5, 4)),
    "Power": (_after_dense(lambda x: ops.power(x, 2.0)), (6,)),
    "OneHot": (lambda x: ops.one_hot(ops.argmax(x, -1), 4), (5, 4)),
    "ReLU": (_after_dense(layers.ReLU(1.5)), (6,)),
    "SeparableConv1D": (layers.SeparableConv1D(5, 3, activation="silu"), (9, 4)),
    "SeparableConv2D": (layers.SeparableConv2D(5, 3, strides=2, padding="same"), (9, 9, 4)),
    "Square": (_after_dense(ops.square), (6,)),
    **{name: _activation(name) for name in DECOMPOSED if hasattr(keras.activations, name) and name != "glu"},
    "glu": (lambda x: ops.glu(layers.Dense(8)(x)), (6,)),
}


# Rows that apply to several inputs or forms; one is in the table above, the rest here.
# A mask as people add it to scores, for each of three windows.
FAR_BELOW = np.where(np.arange(12).reshape(3, 1, 4) % 3, 0.0, -100.0).astype("float32")

FORMS: dict[str, tuple[Callable, tuple[int, ...]]] = {
    "Cast of booleans": (lambda x: x * ops.cast(x > 0.1, "float32"), (5, 4)),
    "Unstack, five axes": (
        lambda x: ops.add(*ops.unstack(ops.transpose(x, (2, 0, 1, 3, 4)), axis=0)[:2]),
        (2, 3, 2, 2),
    ),
    "GetItem, five axes": (lambda x: ops.transpose(x, (2, 0, 1, 3, 4))[1] * 0.5, (2, 3, 2, 2)),
    "Conv3D, dilated": (layers.Conv3D(3, 2, dilation_rate=2, use_bias=False), (4, 5, 4, 2)),
    "two dilated convolutions of one tensor": (
        lambda x: layers.Multiply()([layers.Conv1D(3, 2, dilation_rate=2)(x) for _ in range(2)]),
        (6, 2),
    ),
    "Power of three": (_after_dense(lambda x: ops.power(x, 3)), (6,)),
    "Dense of one feature": (layers.Dense(3, activation="relu"), (5, 1)),
    "EinsumDense, two axes summed over": (
        layers.EinsumDense("abde,dec->abc", (5, 5), bias_axes="c"),
        (5, 2, 3),
    ),
    "EinsumDense, ellipsis": (layers.EinsumDense("...x,xy->...y", 3, bias_axes="y"), (2, 5, 4)),
    "GroupQueryAttention": (lambda x: layers.GroupQueryAttention(3, 4, 2)(x, x), (5, 6)),
    "MultiHeadAttention with dropout": (lambda x: layers.MultiHeadAttention(2, 3, dropout=0.1)(x, x), (5, 6)),
    "a custom dropout": (lambda x: DropPath()(x), (5, 4)),
    **RECURRENT,
    **MASKED_RECURRENT,
    **MASKED,
    "TimeDistributed": (layers.TimeDistributed(layers.Conv1D(3, 2)), (3, 5, 4)),
    "Maximum of a constant": (_after_dense(lambda x: ops.maximum(x, 0.3)), (6,)),
    "a constant minus x": (lambda x: 1.5 - x, (5, 4)),
    "a constant over x": (_of_positive(lambda x: 1.5 / x), (5, 4)),
    "Add of a table": (lambda x: x + np.linspace(-0.3, 2.0, 20, dtype="float32").reshape(5, 4), (5, 4)),
    "Multiply with a table": (lambda x: x * np.linspace(-1, 2.0, 20, dtype="float32").reshape(5, 4), (5, 4)),
    "Matmul with a table": (_after_dense(lambda x: ops.matmul(x, KERNEL[0, 0])), (5, 4)),
    "Einsum with a table": (_after_dense(lambda x: ops.einsum("abc,cd->abd", x, KERNEL[0, 0])), (5, 4)),
    "Multiply with itself": (lambda x: x * x, (5, 4)),
    "Square of a Conv1D": (lambda x: ops.square(layers.Conv1D(4, 3)(x)), (6, 3)),
    "Square of a Flatten": (lambda x: ops.square(layers.Flatten()(layers.Conv1D(4, 3)(x))), (6, 3)),
    "Add of three": (lambda x: layers.Add()([x, layers.Dense(4)(x), layers.Dense(4)(x)]), (4,)),
    "gelu by tanh": (_after_dense(lambda x: keras.activations.gelu(x, approximate=True)), (6,)),
    "relu beside its input": (_after_dense(lambda x: layers.Concatenate()([x, ops.relu(x)])), (6,)),
    "LayerNormalization, channels first": (layers.LayerNormalization(axis=1, center=False), (6, 3, 4)),
    "LayerNormalization, two axes": (layers.LayerNormalization(axis=(1, 3), epsilon=0.1), (4, 3, 5)),
    "LayerNormalization, five axes": (layers.LayerNormalization(), (2, 2, 3, 8)),
    "LayerNormalization, plain": (layers.LayerNormalization(center=False, scale=False), (8,)),
    "GroupNormalization, channels first": (layers.GroupNormalization(-1, axis=1), (4, 3, 5)),
    "Norm of matrices": (lambda x: ops.norm(x, axis=(1, 2), keepdims=True), (3, 4, 2)),
    "softmax of a causal attention": (
        lambda x: layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True),
        (5, 6),
    ),
    "Attention, causal": (lambda x: layers.Attention()([x, x], use_causal_mask=True), (5, 6)),
    "Transpose of windows": (
        lambda x: ops.transpose(ops.reshape(x, (-1, 2, 2, 2, 3, 2)), (0, 1, 3, 2, 4, 5)),
        (4, 6, 2),
    ),
    "softmax of a mask that is added": (
        lambda x: ops.softmax(ops.reshape(ops.reshape(x, (-1, 3, 2, 4)) + FAR_BELOW, (-1, 6, 4))),
        (6, 4),
    ),
    "softmax of masks that are computed": (
        # Reshaped here, for the layer leaves its mask on what it returns.
        lambda x: ops.reshape(
            layers.Softmax()(
                x, mask=ops.not_equal(ops.argmax(x, -1, keepdims=True), np.arange(5, dtype="int32"))
            ),
            (-1, 20),
        ),
        (4, 5),
    ),
    "softmax over another axis": (lambda x: ops.softmax(x, axis=1), (5, 4)),
    "UpSampling2D, nearest": (layers.UpSampling2D(2), (4, 4, 3)),
    "Pad, reflecting": (lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 0)), mode="reflect"), (5, 3)),
}

# What stays float: operation -> (what to apply, input shape).
ISLANDS: dict[str, tuple[Callable, tuple[int, ...]]] = {
    "Conv3DTranspose": (layers.Conv3DTranspose(3, 2), (3, 3, 3, 2)),
    "hard_shrink": _activation("hard_shrink"),
    "sparse_plus": _activation("sparse_plus"),
    "Cumsum": (lambda x: ops.cumsum(x, axis=1), (5, 4)),
}

assert CASES.keys() == {*OPERATIONS, *DECOMPOSED}, CASES.keys() ^ {*OPERATIONS, *DECOMPOSED}
