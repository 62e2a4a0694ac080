"""Models as people wrote them in public reports, for `test_field_*.py` and the comparison with peers."""

import functools

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

import tfopt

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (16, 8, 8, 3)).astype("uint8")
IMAGES = RNG.normal(size=(16, 8, 8, 4)).astype("float32")
ROWS = RNG.normal(size=(16, 4)).astype("float32")


def head(x):
    return layers.Dense(3, name="head")(
        layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(x))
    )


class WrittenInTensorFlow(layers.Layer):
    """A block of Keras 2 days: Keras layers with `tf.*` between them."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.convolution = layers.Conv2D(4, 3, padding="same", use_bias=False)
        self.norm = layers.BatchNormalization()
        self.squeeze = [layers.Dense(4)]

    def call(self, x, training=None):
        y = tf.nn.relu(self.norm(self.convolution(x), training=training))
        scale = tf.reshape(tf.reduce_mean(y, [1, 2]), [tf.shape(y)[0], 4])
        scale = tf.sigmoid(self.squeeze[0](scale))[:, tf.newaxis, tf.newaxis, :]
        first, second = tf.split(y * scale, 2, axis=-1)
        return tf.concat([first - second, tf.image.resize(x, (8, 8))], -1)


class Bessel(layers.Layer):
    """What `keras.ops` has no word for."""

    def call(self, x):
        return tf.math.bessel_i0(x)


class NoConfig(layers.Layer):
    """A constructor that takes neither name nor dtype, and no `get_config`."""

    def __init__(self, units):
        super().__init__()
        self.units = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")

    def call(self, x):
        return ops.matmul(x, self.kernel)


class NoConfigOfFunction(NoConfig):
    """The same with an argument that no config can hold."""

    def __init__(self, units, function):
        super().__init__(units)
        self.function = function

    def call(self, x):
        return self.function(super().call(x))


class OwnWeights(layers.Layer):
    """A weight beside a layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3)
        self.gamma = self.add_weight(shape=(3,), initializer="ones", name="gamma")

    def call(self, x):
        return self.dense(x) * self.gamma


def lookup(layer, dtype="string"):
    """A model of text or keys beside numbers."""
    word, number = keras.Input((1,), dtype=dtype, name="word"), keras.Input((4,), name="number")
    x = layers.Flatten()(
        layers.Embedding(20, 4, keras.initializers.RandomNormal(stddev=1.0, seed=0))(layer(word))
    )
    return keras.Model([word, number], layers.Dense(2)(layers.Concatenate()([x, number])))


def vectorization():
    layer = layers.TextVectorization(max_tokens=20, output_sequence_length=5, name="words")
    layer.adapt(["a b c d", "e f g"])
    return layer


def of_bytes(apply, shape=(8, 8, 3), dtype="uint8"):
    inputs = keras.Input(shape, dtype=dtype, name="image")
    return keras.Model(inputs, head(apply(inputs)))


def behind_dense(apply, shape=(4,)):
    """Something between two kernels."""
    inputs = keras.Input(shape, name="x")
    return keras.Model(inputs, layers.Dense(2, name="head")(apply(layers.Dense(4)(inputs))))


def open_unet():
    inputs = keras.Input((None, None, 3), name="image")
    x = layers.MaxPooling2D(2)(layers.Conv2D(4, 3, padding="same")(inputs))
    x = layers.Concatenate()([layers.UpSampling2D(2)(x), inputs])
    x = layers.UpSampling2D(2, interpolation="bilinear")(layers.AveragePooling2D(2)(x))
    return keras.Model(inputs, layers.Conv2D(2, 1)(x))


def named(**inputs):
    """A model of a dict of inputs."""
    tensors = {name: keras.Input((size,), name=name) for name, size in inputs.items()}
    x = layers.Concatenate()([layers.Dense(3)(tensor) for tensor in tensors.values()])
    return keras.Model(tensors, layers.Dense(2, name="head")(x))


# Functions of `keras.ops` that people use between layers -> the kind of the island, "" where there are integer kernels.
FUNCTIONS = {
    "average_pool": (lambda x: ops.average_pool(x, 2), ""),
    "conv": (lambda x: ops.conv(x, np.ones((3, 3, 4, 2), "float32")), ""),
    "depth_to_space": (lambda x: ops.depth_to_space(x, 2), ""),
    "einsum": (lambda x: ops.einsum("bhwc,cd->bhwd", x, np.eye(4, 2, dtype="float32")), ""),
    "image.resize": (lambda x: ops.image.resize(x, (16, 16)), ""),
    "matmul": (lambda x: ops.matmul(x, np.eye(4, 2, dtype="float32")), ""),
    "max_pool": (lambda x: ops.max_pool(x, 2), ""),
    "pad": (lambda x: ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect"), ""),
    "space_to_depth": (lambda x: ops.space_to_depth(x, 2), ""),
    "unstack": (lambda x: ops.unstack(x, axis=1)[3], ""),
    "cumsum": (lambda x: ops.cumsum(x, axis=1), ""),
    "logsumexp": (lambda x: ops.logsumexp(x, axis=-1), ""),
    "floor": (ops.floor, "Floor"),
    "segment_sum": (
        lambda x: ops.transpose(ops.segment_sum(_rows_first(x), HALVES, 4), (1, 0, 2)),
        "SegmentSum",
    ),
    "sign": (ops.sign, "Sign"),
    "sin": (ops.sin, "Sin"),
    "sort": (lambda x: ops.sort(x, axis=-1), "Sort"),
    "take_along_axis": (
        lambda x: ops.take_along_axis(x, ops.argmax(x, -1, keepdims=True), axis=-1),
        "TakeAlongAxis",
    ),
    "top_k": (lambda x: ops.top_k(x, 2)[0], "TopK"),
}
HALVES = np.array([0, 0, 1, 1, 2, 2, 3, 3])


def _rows_first(x):
    return ops.transpose(ops.reshape(x, (-1, 8, 32)), (1, 0, 2))


def of_functions(*names):
    """Those of the names behind one layer, an output each."""
    inputs = keras.Input((8, 8, 4), name="x")
    x = layers.Dense(4)(inputs)
    return keras.Model(inputs, {name: FUNCTIONS[name][0](x) for name in names})


def index_and_amount():
    """An input that is read as an index, and as an amount."""
    inputs = keras.Input((6,), dtype="int32", name="x")
    parts = [layers.Flatten()(layers.Embedding(10, 2)(inputs)), layers.Rescaling(0.1)(inputs)]
    return keras.Model(inputs, layers.Concatenate()(parts))


def of_bytes_in_a_row():
    return of_bytes(lambda x: layers.Rescaling(0.1)(layers.Reshape((8, 8, 3))(x)), (192,))


def augmented():
    """A model that augments its own inputs."""
    return of_bytes(lambda x: layers.Rescaling(1 / 255.0)(layers.RandomRotation(0.1)(layers.RandomFlip()(x))))


def rows_for(**sizes):
    """Samples of inputs of these sizes."""
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=(16, size)).astype("float32") for name, size in sizes.items()}


NORMALIZED = {"mean": 3 * [100.0], "variance": 3 * [900.0]}
KEYWORDS = {"class": 4, "import": 3}
TEXTS, KEYS = np.array([["3"]] * 16), np.array([[3]] * 16, "int64")

# What was reported -> a function that makes the model, and samples for it.
REPORTED = {
    "bytes rescaled": (lambda: of_bytes(layers.Rescaling(1 / 255.0)), BYTES),
    "bytes normalized": (lambda: of_bytes(layers.Normalization(**NORMALIZED)), BYTES),
    "bytes convolved": (lambda: of_bytes(lambda x: x), BYTES),
    "bytes cast": (lambda: of_bytes(lambda x: ops.cast(x, "float32") / 255.0), BYTES),
    "bytes reshaped": (of_bytes_in_a_row, BYTES.reshape(16, -1)),
    "int32": (lambda: of_bytes(lambda x: x, dtype="int32"), BYTES.astype("int32")),
    "an index that is an amount": (index_and_amount, np.arange(96, dtype="int32").reshape(16, 6) % 10),
    "inputs named as keywords": (lambda: named(**KEYWORDS), rows_for(**KEYWORDS)),
    "open sizes": (open_unet, BYTES / np.float32(255)),
    "StringLookup": (lambda: lookup(layers.StringLookup(vocabulary=["a", "b"], name="words")), [TEXTS, ROWS]),
    "TextVectorization": (lambda: lookup(vectorization()), [TEXTS, ROWS]),
    "Hashing": (lambda: lookup(layers.Hashing(20, name="words")), [TEXTS, ROWS]),
    "IntegerLookup": (
        lambda: lookup(layers.IntegerLookup(vocabulary=[3, 5], name="words"), "int64"),
        [KEYS, ROWS],
    ),
    "Lambda": (lambda: behind_dense(layers.Lambda(lambda x: x / 2 + 1)), ROWS),
    "Lambda of tf": (lambda: behind_dense(layers.Lambda(lambda x: tf.nn.relu(x) * 2.0)), ROWS),
    "Lambda that casts": (lambda: of_bytes(layers.Lambda(lambda x: tf.cast(x, tf.float32) / 255.0)), BYTES),
    "augmentation in the model": (augmented, BYTES),
    "Lambda with arguments": (
        lambda: behind_dense(layers.Lambda(lambda x, k: x * k, arguments={"k": 3.0})),
        ROWS,
    ),
    "call with tf": (lambda: behind_dense(lambda x: WrittenInTensorFlow()(x), (8, 8, 4)), IMAGES),
    "no get_config": (lambda: behind_dense(lambda x: NoConfig(3)(x)), ROWS),
    "no config possible": (lambda: behind_dense(lambda x: NoConfigOfFunction(3, ops.relu)(x)), ROWS),
    "own weights beside layers": (lambda: behind_dense(lambda x: OwnWeights()(x)), ROWS),
    "top_k": (lambda: behind_dense(lambda x: ops.top_k(x, 3)[0]), ROWS),
    "a function of tf that has no counterpart": (lambda: behind_dense(Bessel()), ROWS),
    **{f"ops.{name}": (functools.partial(of_functions, name), IMAGES) for name in FUNCTIONS},
}


def reported(name):
    """The model of a report, and samples for it."""
    make, x = REPORTED[name]
    return make(), x


def exported(q, folder, **settings):
    """The path of its file and the report of the export."""
    path = folder / "model.tflite"
    return path, tfopt.export(q, path, **settings)


def is_exact(q, path, samples):
    """Whether the file's codes are the simulation's."""
    report = tfopt.verify(q, path, samples)
    return report.passed and all(output.equal == 1.0 for output in report.outputs)
