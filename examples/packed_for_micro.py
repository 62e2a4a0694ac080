"""Less flash on a microcontroller: pruned, clustered and int8 in one fit, decoded by TFLite Micro while it runs.

pip install 'tfopt[examples,mcu]'
python examples/packed_for_micro.py --sparsity 0.7 --clusters 16

Writes packed.tflite, and packed.cc with packed.h for the firmware, whose operator resolver needs AddDecode().
"""

import argparse

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

import tfopt
from tfopt.conversion import write_c_array
from tfopt.runtimes import TFLiteMicro

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument(
    "--sparsity", type=float, default=0.7, help="part of the weights that become zero (default: 0.7)"
)
parser.add_argument(
    "--clusters", type=int, default=16, help="values that a kernel's weights share (default: 16)"
)
parser.add_argument("--epochs", type=int, default=20, help="of each of the two trainings (default: 20)")
args = parser.parse_args()

keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)
x = x.reshape(-1, 8, 8, 1).astype("float32") / 16
order = np.random.default_rng(0).permutation(len(x))
x, y = x[order], y[order]
x_train, y_train, x_test, y_test = x[360:], y[360:], x[:360], y[:360]

model = keras.Sequential(
    [
        keras.Input((8, 8, 1), name="image"),
        layers.Conv2D(16, 3, padding="same", activation="relu", name="first"),
        layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="second"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(name="relu"),
        layers.Flatten(name="flatten"),
        layers.Dense(64, activation="relu", name="hidden"),
        layers.Dense(10, activation="softmax", name="scores"),
    ],
    name="digits",
)
loss = "sparse_categorical_crossentropy"
model.compile("adam", loss, metrics=["accuracy"])
model.fit(x_train, y_train, epochs=args.epochs, verbose=0)

# One fit: zeros, few values, the int8 grid of TFLite Micro, and the float model as teacher.
steps = args.epochs * -(-len(x_train) // 32)
pruning = tfopt.Pruning(
    tfopt.PolynomialDecay(args.sparsity, end_step=steps // 2), scope="global", criterion="lamp"
)
clustering = tfopt.Clustering(lambda step: args.clusters if step > steps // 2 else None)
q = tfopt.quantize(model, x_train[:300], tfopt.QuantConfig.for_target("tflm"))
distiller = tfopt.Distiller(q, teacher=model)
distiller.compile(keras.optimizers.Adam(5e-4), loss, metrics=["accuracy"])
distiller.fit(x_train, y_train, epochs=args.epochs, callbacks=[pruning, clustering], verbose=0)

tfopt.export(model, "float.tflite")
tfopt.export(q, "int8.tflite")
print(tfopt.compression.compress_weights("int8.tflite", "packed.tflite"))
print(tfopt.verify(q, "packed.tflite", x_test, runtime="tflm"))
files = {"float": "float.tflite", "int8": "int8.tflite", "packed": "packed.tflite"}
print(tfopt.compare(files, x_test, y_test, runtime="tflm"))
print(tfopt.compression.sizes({"int8": "int8.tflite"}))
source, header = write_c_array("packed.tflite", "packed.cc")
print(
    f"Written: {source}, {header}. Arena: {TFLiteMicro('packed.tflite').arena.total:,} bytes on this machine."
)
