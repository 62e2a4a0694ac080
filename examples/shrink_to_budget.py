"""Shrink under a budget: channels removed in steps, with training between them, until the model fits.

pip install 'tfopt[examples]'
python examples/shrink_to_budget.py --macs 0.3 --rounds 3
"""

import argparse

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

import tfopt

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument(
    "--macs", type=float, default=0.3, help="part of the multiply-accumulates to keep (default: 0.3)"
)
parser.add_argument("--rounds", type=int, default=3, help="of shrinking and training (default: 3)")
parser.add_argument("--epochs", type=int, default=15, help="of each training (default: 15)")
args = parser.parse_args()

keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)
x = x.reshape(-1, 8, 8, 1).astype("float32") / 16
order = np.random.default_rng(0).permutation(len(x))
x, y = x[order], y[order]
x_train, y_train, x_test, y_test = x[360:], y[360:], x[:360], y[:360]


def residual(h, filters, name):
    """`relu(h + f(h))`: the channels of both go together."""
    branch = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv")(h)
    branch = layers.BatchNormalization(name=f"{name}_norm")(branch)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_sum")([h, branch]))


inputs = keras.Input((8, 8, 1), name="image")
h = layers.Conv2D(32, 3, padding="same", activation="relu", name="stem")(inputs)
h = residual(h, 32, "first")
h = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu", name="down")(h)
h = residual(h, 64, "second")
h = layers.GlobalAveragePooling2D(name="mean")(h)
model = keras.Model(inputs, layers.Dense(10, activation="softmax", name="scores")(h), name="residual")
loss = "sparse_categorical_crossentropy"
model.compile("adam", loss, metrics=["accuracy"])
model.fit(x_train, y_train, epochs=args.epochs, verbose=0)

# Each round keeps the same part of what is left. Taylor scores ask the loss which channels it would miss least.
small, macs = model, tfopt.count_macs(model)
for done in range(1, args.rounds + 1):
    budget = round(macs * args.macs ** (done / args.rounds))
    small.compile("adam", loss, metrics=["accuracy"])
    small = tfopt.shrink(
        small, macs=budget, criterion="taylor", data=(x_train[:512], y_train[:512]), divisor=4
    )
    tfopt.update_batch_norm(small, x_train)
    distiller = tfopt.Distiller(small, teacher=model)
    distiller.compile("adam", loss, metrics=["accuracy"])
    distiller.fit(x_train, y_train, epochs=args.epochs, verbose=0)
    accuracy = distiller.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"]
    print(f"round {done}: {tfopt.count_macs(small):,} of {macs:,} MACs, {accuracy:.2%}")

files = {}
for name, one in {"before": model, "after": small}.items():
    q = tfopt.quantize(one, x_train[:300], correct_bias=True)
    files[name] = f"budget_{name}.tflite"
    tfopt.export(q, files[name])
    print(tfopt.verify(q, files[name], x_test))
print(tfopt.compare(files, x_test, y_test))
