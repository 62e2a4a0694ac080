"""Keyword spotting: an LSTM over frames of sound, as an int8 file that listens to a stream on TFLite Micro.

pip install 'tfopt[examples,mcu]'
python examples/keyword_spotting.py --epochs 10

The words are synthetic: energies of 16 bands in 20 frames, in which "yes" rises, "no" falls, and the rest is noise.
"""

import argparse

import keras
import numpy as np
from keras import layers

import tfopt
from tfopt.runtimes import TFLiteMicro

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=20, help="of each of the two trainings (default: 20)")
parser.add_argument("--samples", type=int, default=1500, help="recordings to make (default: 1500)")
args = parser.parse_args()

WORDS = ("noise", "yes", "no")
FRAMES, BANDS = 20, 16
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)


def recording(word):
    """Bands (frames, bands) of one word: a formant that rises, falls, or is not there."""
    sound = rng.gamma(1.0, 0.15, (FRAMES, BANDS))
    if word:
        center = np.linspace(3, 12, FRAMES) + rng.normal(0, 1)
        distance = np.arange(BANDS) - (center if word == 1 else center[::-1])[:, None]
        sound += rng.uniform(0.3, 0.9) * np.exp(-(distance**2) / 3)
    return sound


y = rng.integers(0, len(WORDS), args.samples)
x = np.stack([recording(word) for word in y]).astype("float32")
held_out = args.samples // 4
x_train, y_train, x_test, y_test = x[held_out:], y[held_out:], x[:held_out], y[:held_out]

# Scores after every frame, so that a stream needs no window; sequences may be of any length.
inputs = keras.Input((None, BANDS), name="bands")
h = layers.LSTM(24, return_sequences=True, name="lstm")(inputs)
outputs = layers.Dense(len(WORDS), activation="softmax", name="word")(h)
model = keras.Model(inputs, outputs, name="keywords")
loss = "sparse_categorical_crossentropy"
every_frame = np.repeat(y_train[:, None], FRAMES, axis=1)
late = np.repeat(
    np.linspace(0, 1, FRAMES, dtype="float32")[None], len(y_train), axis=0
)  # early frames say little
model.compile(keras.optimizers.Adam(5e-3), loss)
model.fit(x_train, every_frame, sample_weight=late, epochs=args.epochs, verbose=0)

# The whole LSTM becomes one integer operator; trained on that grid.
q = tfopt.quantize(model, x_train[:300], tfopt.QuantConfig.for_target("tflm"))
q.compile(keras.optimizers.Adam(1e-3), loss)
q.fit(x_train, every_frame, sample_weight=late, epochs=args.epochs, verbose=0)


def accuracy(labels, scores):
    """Of the last frame."""
    return np.mean(np.argmax(scores[:, -1], axis=-1) == labels)


tfopt.export(model, "keywords_float.tflite", shapes={"bands": (FRAMES, BANDS)})
tfopt.export(q, "keywords_int8.tflite", shapes={"bands": (FRAMES, BANDS)})
print(tfopt.verify(q, "keywords_int8.tflite", x_test[:100], runtime="tflm"))
files = {"float": "keywords_float.tflite", "int8": "keywords_int8.tflite"}
print(tfopt.compare(files, x_test, y_test, metric=accuracy))

# The same network with one step: the file keeps the state of the LSTM from call to call.
tfopt.export(q, "keywords_stream.tflite", shapes={"bands": (1, BANDS)})
stream = TFLiteMicro("keywords_stream.tflite")
(bands,), (scores,) = stream.file.inputs, stream.file.outputs
print(f"Stream: {stream.arena.total:,} bytes of arena. Heard, frame by frame:")
for sound, word in zip(x_test[:3], y_test[:3], strict=True):
    stream.reset()
    for frame in sound:
        codes = np.clip(np.round(frame / bands.scale) + bands.zero_point, -128, 127)
        stream.set_inputs([codes.astype("int8").reshape(1, 1, BANDS)])
        stream.invoke()
    print(f"  {WORDS[np.argmax(stream.tensor(scores))]}, said: {WORDS[word]}")
