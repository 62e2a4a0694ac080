"""Detection: two heads, scores and boxes, each with a grid of its own in one int8 file for TFLite Micro.

pip install 'tfopt[examples,mcu]'
python examples/detection.py --epochs 20

The images are synthetic: a bright rectangle on noise. Each cell of an 8 x 8 grid says whether the middle of a
rectangle is in it, and how far the edges of that rectangle are, in pixels. Scores lie in [0, 1], distances in
[0, 32]: on one grid scores would lose five of their eight bits, so they stay two outputs.
"""

import argparse

import keras
import numpy as np
from keras import layers

import tfopt

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=30, help="of the float training (default: 30)")
parser.add_argument("--samples", type=int, default=1200, help="images to make (default: 1200)")
args = parser.parse_args()

SIZE, CELLS = 32, 8
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
middle, half = rng.uniform(8, 24, (args.samples, 2)), rng.uniform(3, 8, (args.samples, 2))
boxes = np.concatenate([middle - half, middle + half], axis=1)  # top, left, bottom, right
rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
inside = (np.abs(rows - middle[:, :1, None]) < half[:, :1, None]) & (
    np.abs(columns - middle[:, 1:, None]) < half[:, 1:, None]
)
x = (0.2 + 0.5 * inside + rng.normal(0, 0.1, inside.shape)).astype("float32")[..., None]
cell = (middle * CELLS / SIZE).astype(int)
at = (np.arange(args.samples), cell[:, 0], cell[:, 1])
centers = (np.stack(np.mgrid[:CELLS, :CELLS], axis=-1) + 0.5) * SIZE / CELLS  # of the cells
corners = np.concatenate([centers, centers], axis=-1)
scores = np.zeros((args.samples, CELLS, CELLS, 1), "float32")
scores[at] = 1.0
distances = np.abs(boxes[:, None, None] - corners).astype("float32")
held_out = args.samples // 4


def distance_loss(true, found):
    """Only of the cell that holds the middle, whose score is beside its distances."""
    error = keras.ops.mean(keras.ops.abs(true[..., :4] - found), axis=-1)
    return keras.ops.sum(error * true[..., 4], axis=(1, 2)) / SIZE


inputs = keras.Input((SIZE, SIZE, 1), name="image")
h = inputs
for filters, strides in ((8, 2), (16, 2), (32, 1), (32, 1)):
    h = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(h)
    h = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(h))
score = layers.Conv2D(1, 1, activation="sigmoid", name="score")(h)
distance = layers.Conv2D(4, 1, activation="relu", name="distance")(h)
model = keras.Model(inputs, {"score": score, "distance": distance}, name="detector")
losses = {"score": "binary_focal_crossentropy", "distance": distance_loss}
model.compile(keras.optimizers.Adam(3e-3), losses, loss_weights={"score": 20.0, "distance": 1.0})
targets = {"score": scores, "distance": np.concatenate([distances, scores], axis=-1)}
train = {name: values[held_out:] for name, values in targets.items()}
model.fit(x[held_out:], train, batch_size=32, epochs=args.epochs, verbose=0)


def overlap(outputs):
    """Mean intersection over union of the box at the highest score with the true one, in percent."""
    found = outputs["score"].reshape(held_out, -1).argmax(axis=1)
    places = corners.reshape(-1, 4)[found]
    far = outputs["distance"].reshape(held_out, -1, 4)[np.arange(held_out), found]
    ours, true = places + far * [-1, -1, 1, 1], boxes[:held_out]
    sides = np.minimum(ours[:, 2:], true[:, 2:]) - np.maximum(ours[:, :2], true[:, :2])
    common = np.prod(np.maximum(sides, 0), axis=1)
    areas = [np.prod(np.maximum(box[:, 2:] - box[:, :2], 0), axis=1) for box in (ours, true)]
    return 100 * np.mean(common / (areas[0] + areas[1] - common))


q = tfopt.quantize(model, x[held_out:], tfopt.QuantConfig.for_target("tflm"), correct_bias=True)
before = tfopt.export(model, "detector_float.tflite")
after = tfopt.export(q, "detector_int8.tflite", strict=True)
print(tfopt.verify(q, "detector_int8.tflite", x[:held_out]))
found = {
    "float": tfopt.runtimes.run("detector_float.tflite", x[:held_out]).values,
    "int8": tfopt.runtimes.run("detector_int8.tflite", x[:held_out], "tflm").values,
}
for name, outputs in found.items():
    print(f"{name}: {overlap(outputs):.2f} % of overlap")
times = {
    row.name: row.median_ms for row in tfopt.runtimes.bench({n: f"detector_{n}.tflite" for n in found}).rows
}
sizes = [tfopt.runtimes.measure_size(path).raw for path in (before.path, after.path)]
print(
    f"Gained: {sizes[0] - sizes[1]:,} bytes, {times['float'] - times['int8']:.3f} ms a call on this machine; "
    f"{overlap(found['int8']) - overlap(found['float']):+.2f} points of overlap."
)
