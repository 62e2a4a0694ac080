"""Anomaly detection: an autoencoder that knows one kind of thing, pruned and int8, for a microcontroller.

pip install 'tfopt[examples,mcu]'
python examples/anomaly_detection.py --epochs 20

Normal are the digits 8; what the autoencoder cannot draw again is an anomaly. The measure is the area under the ROC.
"""

import argparse

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

import tfopt

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=60, help="of each of the two trainings (default: 60)")
args = parser.parse_args()

keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)
x = x.astype("float32") / 16
normal, others = x[y == 8], x[y != 8]
x_train = normal[60:]
x_test = np.concatenate([normal[:60], others[:600]])
is_anomaly = np.arange(len(x_test)) >= 60

model = keras.Sequential(
    [
        keras.Input((64,), name="signal"),
        layers.Dense(128, activation="relu", name="encoder"),
        layers.Dense(8, activation="relu", name="code"),
        layers.Dense(128, activation="relu", name="decoder"),
        layers.Dense(64, name="again"),
    ],
    name="autoencoder",
)
model.compile(keras.optimizers.Adam(3e-3), "mse")
model.fit(x_train, x_train, epochs=args.epochs, verbose=0)

# Pruned on the int8 grid of TFLite Micro, in one fit.
steps = args.epochs * -(-len(x_train) // 32)
q = tfopt.quantize(model, x_train, tfopt.QuantConfig.for_target("tflm"))
q.compile(keras.optimizers.Adam(1e-3), "mse")
pruning = tfopt.Pruning(tfopt.PolynomialDecay(final_sparsity=0.75, end_step=steps // 2), where="coder")
q.fit(x_train, x_train, epochs=args.epochs, callbacks=[pruning], verbose=0)


def roc_auc(labels, drawn):
    """The area under the ROC of the squared error as the score of an anomaly, in percent."""
    return 100 * roc_auc_score(labels, np.mean((drawn - x_test) ** 2, axis=-1))


tfopt.export(model, "anomaly_float.tflite")
tfopt.export(q, "anomaly_int8.tflite")
print(tfopt.verify(q, "anomaly_int8.tflite", x_test))
files = {"float": "anomaly_float.tflite", "int8": "anomaly_int8.tflite"}
report = tfopt.compare(files, x_test, is_anomaly, metric=roc_auc)
print(report)
before, after = report.rows
print(
    f"Gained: {before.raw_bytes - after.raw_bytes:,} bytes, {after.metric - before.metric:+.2f} points of ROC AUC."
)
print(tfopt.compression.compress_weights("anomaly_int8.tflite", "anomaly_compressed.tflite"))
