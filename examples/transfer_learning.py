"""Transfer learning: a backbone that knows five classes, nested under a head for five others, as an int8 file.

pip install 'tfopt[examples]'
python examples/transfer_learning.py --epochs 10

The backbone is trained here on the digits 0 to 4, so that nothing is downloaded;
keras.applications.MobileNetV2(include_top=False, pooling="avg") takes its place in real life.
"""

import argparse

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

import tfopt

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=15, help="of each of the four trainings (default: 15)")
args = parser.parse_args()

keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)
x = x.reshape(-1, 8, 8, 1).astype("float32") / 16
order = np.random.default_rng(0).permutation(len(x))
x, y = x[order], y[order]
old, new = y < 5, y >= 5
x_new, y_new = x[new], y[new] - 5
x_train, y_train, x_test, y_test = x_new[300:], y_new[300:], x_new[:300], y_new[:300]

# The backbone: a model of its own, trained on other classes.
inputs = keras.Input((8, 8, 1), name="image")
h = layers.Conv2D(16, 3, padding="same", use_bias=False)(inputs)
h = layers.ReLU(6)(layers.BatchNormalization()(h))
h = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(h)
h = layers.ReLU(6)(layers.BatchNormalization()(h))
h = layers.Conv2D(32, 1, use_bias=False)(h)
h = layers.ReLU(6)(layers.BatchNormalization()(h))
h = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(h)
backbone = keras.Model(inputs, layers.GlobalAveragePooling2D()(h), name="backbone")
pretrained = keras.Sequential([backbone, layers.Dense(5, activation="softmax")])
pretrained.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
pretrained.fit(x[old], y[old], epochs=args.epochs, verbose=0)

# A new head on the frozen backbone, then all of it, slowly.
model = keras.Sequential(
    [keras.Input((8, 8, 1), name="image"), backbone, layers.Dense(5, activation="softmax", name="head")]
)
for trainable, rate in ((False, 1e-2), (True, 5e-4)):
    backbone.trainable = trainable
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, epochs=args.epochs, verbose=0)

# Nested models are opened; layers keep their names. A short training on the grid, with the float model as teacher.
q = tfopt.quantize(model, calibration=x_train[:300])
distiller = tfopt.Distiller(q, teacher=model)
distiller.compile(keras.optimizers.Adam(2e-4), "sparse_categorical_crossentropy", metrics=["accuracy"])
distiller.fit(x_train, y_train, epochs=args.epochs, verbose=0)

tfopt.export(model, "transfer_float.tflite")
tfopt.export(q, "transfer_int8.tflite")
print(tfopt.verify(q, "transfer_int8.tflite", x_test))
print(tfopt.compare({"float": "transfer_float.tflite", "int8": "transfer_int8.tflite"}, x_test, y_test))
