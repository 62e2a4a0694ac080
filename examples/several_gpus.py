"""Several GPUs of one machine: prune, quantize and distil on all of them in one fit, export one int8 file.

pip install 'tfopt[examples]'
python examples/several_gpus.py --epochs 6
python examples/several_gpus.py --cpus 2    # without a GPU: on two logical CPUs, to try it

Only the scope is new: models are made and compiled inside it. Masks and ranges are the same on all replicas, so that
the file is the one that a single device would give, up to the rounding of sums.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

import tfopt

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=10, help="of each training (default: 10)")
parser.add_argument("--cpus", type=int, help="logical CPUs to train on (default: all GPUs instead)")
args = parser.parse_args()

if args.cpus:
    one = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [one] * args.cpus)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(args.cpus)])
else:
    strategy = tfopt.distribute.strategy()
batch_size = 32 * strategy.num_replicas_in_sync
print(f"{strategy.num_replicas_in_sync} replicas, {batch_size} samples a step")

keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)
x = x.reshape(-1, 8, 8, 1).astype("float32") / 16.0
order = np.random.default_rng(0).permutation(len(x))
train, test = order[360:], order[:360]
steps = args.epochs * len(train) // batch_size


def compiled(model, rate):
    """With the loss of logits; the rate grows with the batch, as usual."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate * strategy.num_replicas_in_sync), loss)
    return model


with strategy.scope():
    model = keras.Sequential([keras.Input((8, 8, 1), name="image")])
    for filters in (16, 32):
        model.add(layers.Conv2D(filters, 3, padding="same", use_bias=False))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
    for layer in (layers.MaxPooling2D(), layers.Flatten(), layers.Dense(64, "relu"), layers.Dense(10)):
        model.add(layer)
    compiled(model, 1e-3)
model.fit(x[train], y[train], batch_size=batch_size, epochs=args.epochs, verbose=0)

with strategy.scope():
    q = tfopt.quantize(model, x[train[:256]])
    student = compiled(
        tfopt.Distiller(q, model, [tfopt.SoftTargets(temperature=4.0, from_logits=True)]), 5e-4
    )
pruning = tfopt.Pruning(tfopt.PolynomialDecay(0.75, end_step=int(0.7 * steps)))
student.fit(x[train], y[train], batch_size=batch_size, epochs=args.epochs, callbacks=[pruning], verbose=0)

tfopt.export(model, "digits_float.tflite")
tfopt.export(q, "digits_int8.tflite")
print(tfopt.verify(q, "digits_int8.tflite", x[test]))
report = tfopt.compare({"float": "digits_float.tflite", "int8": "digits_int8.tflite"}, x[test], y[test])
print(report)
before, after = report.rows
print(
    f"Gained: {before.gzip_bytes - after.gzip_bytes:,} bytes gzipped, "
    f"{before.latency_ms - after.latency_ms:.3f} ms a call; {100 * (after.metric - before.metric):+.2f} points."
)
