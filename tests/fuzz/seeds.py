"""Sound files to be changed: one for each way in which a file is made.

python -m tests.fuzz.seeds FOLDER
"""

import dataclasses
import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers

import tfopt
from tfopt.compression import pack
from tfopt.recipes import Prune, Recipe, recipe_text

SHAPE = (8, 8, 3)
CLASSES = 5


def make(folder: Path) -> None:
    """Writes all of them: `net.keras`, `q.keras`, `samples.npz`, `FORM.tflite`, `small.tfpk`, recipes, a result."""
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, *SHAPE)).astype("float32"), rng.integers(0, CLASSES, 16)
    np.savez(folder / "samples.npz", x=x, y=y)
    net = _net()
    net.save(folder / "net.keras")
    quantized = tfopt.quantize(net, x)
    quantized.save(folder / "q.keras")
    tfopt.export(quantized, folder / "int8.tflite")
    tfopt.export(quantized, folder / "float_ends.tflite", input_dtype="float32", output_dtype="float32")
    wide = tfopt.QuantConfig(activation_bits=16)
    tfopt.export(tfopt.quantize(net, x, wide), folder / "int16.tflite")
    tflm = tfopt.QuantConfig.for_target("tflm")
    tfopt.export(
        tfopt.quantize(net, x, dataclasses.replace(tflm, weight_bits=4)),
        folder / "compressed.tflite",
        compress=True,
    )
    tfopt.export(net, folder / "float.tflite")
    tfopt.export(net, folder / "float16.tflite", format="float16")
    sequence = keras.Sequential([keras.Input((6, 4)), layers.LSTM(5), layers.Dense(CLASSES)])
    steps = rng.normal(size=(16, 6, 4)).astype("float32")
    tfopt.export(tfopt.quantize(sequence, steps), folder / "lstm.tflite")
    pack(folder / "int8.tflite", folder / "small.tfpk")
    recipe = Recipe(description="all", target="tflm", seed=3, prune=Prune(sparsity=0.5, pattern="2:4"))
    (folder / "recipe.yaml").write_text(recipe_text(recipe))
    tfopt.compress(net, (x, y), Recipe(), output_dir=folder / "result")


def _net() -> keras.Model:
    image = keras.Input(SHAPE, name="image")
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(image)
    x = layers.Add()([x, layers.DepthwiseConv2D(3, padding="same")(x)])
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    x = layers.Dense(16, activation="relu")(x)
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax")(x), name="net")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
