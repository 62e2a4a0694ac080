"""Handwritten digits as an int8 .tflite file: prune, quantize and distil in one fit.

pip install 'tfopt[examples]'
python examples/digits_int8.py --epochs 15
"""

import argparse

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

import tfopt

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=15, help="of each of the two trainings (default: 15)")
parser.add_argument("--batch_size", type=int, default=32, help="samples in a step (default: 32)")
args = parser.parse_args()

# Data: 1,437 digits to train, 360 to test.
keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)
x = x.reshape(-1, 8, 8, 1).astype("float32") / 16.0
order = np.random.default_rng(0).permutation(len(x))
x, y = x[order], y[order]
x_train, y_train, x_test, y_test = x[360:], y[360:], x[:360], y[:360]

# A float network; its outputs are logits.
teacher = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(32, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
teacher.compile("adam", loss, metrics=["accuracy"])
teacher.fit(x_train, y_train, args.batch_size, epochs=args.epochs, validation_data=(x_test, y_test))

# Prune 75 %, quantize to int8 and distil from the float network, in one fit.
student = tfopt.quantize(teacher, calibration=x_train)
steps = args.epochs * len(x_train) // args.batch_size
pruning = tfopt.Pruning(tfopt.PolynomialDecay(final_sparsity=0.75, end_step=steps // 2))
distiller = tfopt.Distiller(student, teacher, [tfopt.SoftTargets(temperature=4.0, from_logits=True)])
distiller.compile("adam", loss, metrics=["accuracy"])
distiller.fit(
    x_train,
    y_train,
    args.batch_size,
    epochs=args.epochs,
    validation_data=(x_test, y_test),
    callbacks=[pruning],
)

# Ship it, and prove that the file computes what was trained.
tfopt.export(teacher, "digits_float.tflite")
print(tfopt.export(student, "digits_int8.tflite"))
print(tfopt.verify(student, "digits_int8.tflite", x_test))
print(tfopt.compare({"float": "digits_float.tflite", "int8": "digits_int8.tflite"}, x_test, y_test))
