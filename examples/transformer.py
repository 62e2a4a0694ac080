"""A small transformer: attention, layer normalization and GELU in integers, with half of its heads and width removed.

pip install 'tfopt[examples]'
python examples/transformer.py --epochs 10

Each row of a handwritten digit is a token. On a desktop CPU the int8 file is slower than float: a normalization is many
small operators there.
"""

import argparse

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

import tfopt

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=15, help="of each of the three trainings (default: 15)")
parser.add_argument("--blocks", type=int, default=2, help="of attention and feed-forward (default: 2)")
args = parser.parse_args()

keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)
x = x.reshape(-1, 8, 8).astype("float32") / 16
order = np.random.default_rng(0).permutation(len(x))
x, y = x[order], y[order]
x_train, y_train, x_test, y_test = x[360:], y[360:], x[:360], y[:360]


class Positions(layers.Layer):
    """Adds a trained vector to each token; quantized, it is an addition of constants."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table = layers.Embedding(8, 32)

    def call(self, tokens):
        return tokens + self.table(keras.ops.arange(8))


inputs = keras.Input((8, 8), name="rows")
h = layers.Dense(32, name="embedding")(inputs)
h = Positions(name="positions")(h)
for index in range(args.blocks):
    normed = layers.LayerNormalization(name=f"norm_{index}")(h)
    h = layers.Add()([h, layers.MultiHeadAttention(4, 8, name=f"attention_{index}")(normed, normed)])
    wide = layers.Dense(64, activation="gelu", name=f"wide_{index}")(layers.LayerNormalization()(h))
    h = layers.Add()([h, layers.Dense(32, name=f"narrow_{index}")(wide)])
h = layers.GlobalAveragePooling1D()(layers.LayerNormalization(name="last_norm")(h))
model = keras.Model(inputs, layers.Dense(10, activation="softmax", name="scores")(h), name="transformer")
loss = "sparse_categorical_crossentropy"
model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
model.fit(x_train, y_train, epochs=args.epochs, verbose=0)

# Half of the heads, the neurons and the width of each block that can go; then the float model teaches what is left.
small = tfopt.shrink(model, channels=0.5, where="attention|wide", divisor=1)
print(small.report)
distiller = tfopt.Distiller(small, teacher=model)
distiller.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
distiller.fit(x_train, y_train, epochs=args.epochs, verbose=0)

q = tfopt.quantize(small, x_train[:300])
q.compile(keras.optimizers.Adam(2e-4), loss, metrics=["accuracy"])
q.fit(x_train, y_train, epochs=args.epochs, verbose=0)

for name, one in {"float": model, "small": small, "int8": q}.items():
    tfopt.export(one, f"transformer_{name}.tflite")
print(tfopt.verify(q, "transformer_int8.tflite", x_test))
files = {name: f"transformer_{name}.tflite" for name in ("float", "small", "int8")}
print(tfopt.compare(files, x_test, y_test))
