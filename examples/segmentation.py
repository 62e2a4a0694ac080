"""Segmentation: a small U-Net with skip connections and up-sampling, quantized to int8 end to end.

pip install 'tfopt[examples]'
python examples/segmentation.py --epochs 8

The images are synthetic: a bright disk on a noisy gradient, to be told from the background pixel by pixel.
"""

import argparse

import keras
import numpy as np
from keras import layers

import tfopt

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=10, help="of the float training (default: 10)")
parser.add_argument("--samples", type=int, default=600, help="images to make (default: 600)")
args = parser.parse_args()

SIZE = 32
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
rows, columns = np.mgrid[:SIZE, :SIZE]
centers, radii = rng.uniform(8, 24, (args.samples, 2, 1, 1)), rng.uniform(4, 9, (args.samples, 1, 1))
y = ((rows - centers[:, 0]) ** 2 + (columns - centers[:, 1]) ** 2 < radii**2).astype("float32")[..., None]
slope = rng.uniform(-0.01, 0.01, (args.samples, 1, 1, 1)) * rows[..., None]
x = (0.3 + slope + 0.3 * y + rng.normal(0, 0.12, y.shape)).astype("float32")
held_out = args.samples // 4
x_train, y_train, x_test, y_test = x[held_out:], y[held_out:], x[:held_out], y[:held_out]


def block(h, filters, name):
    """A convolution, a batch norm and a ReLU."""
    h = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv")(h)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(h))


inputs = keras.Input((SIZE, SIZE, 1), name="image")
fine = block(inputs, 8, "fine")
middle = block(layers.MaxPooling2D()(fine), 16, "middle")
coarse = block(layers.MaxPooling2D()(middle), 32, "coarse")
up = block(layers.Concatenate()([layers.UpSampling2D(interpolation="bilinear")(coarse), middle]), 16, "up")
out = block(layers.Concatenate()([layers.UpSampling2D(interpolation="bilinear")(up), fine]), 8, "out")
model = keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid", name="mask")(out), name="unet")
model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
model.fit(x_train, y_train, batch_size=16, epochs=args.epochs, verbose=0)

q = tfopt.quantize(
    model, x_train[:200], tfopt.QuantConfig(ranges=tfopt.Ranges(method="mse")), correct_bias=True
)


def overlap(labels, scores):
    """Intersection over union, in percent."""
    found, true = scores > 0.5, labels > 0.5
    return 100 * np.sum(found & true) / np.sum(found | true)


tfopt.export(model, "unet_float.tflite")
tfopt.export(q, "unet_int8.tflite", strict=True)
print(tfopt.verify(q, "unet_int8.tflite", x_test[:40]))
report = tfopt.compare(
    {"float": "unet_float.tflite", "int8": "unet_int8.tflite"}, x_test, y_test, metric=overlap
)
print(report)
before, after = report.rows
print(
    f"Gained: {before.raw_bytes - after.raw_bytes:,} bytes, {before.latency_ms - after.latency_ms:.3f} ms a call; "
    f"{after.metric - before.metric:+.2f} points of intersection over union."
)
