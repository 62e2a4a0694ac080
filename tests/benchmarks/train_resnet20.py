"""Trains ResNet20 on CIFAR-10: a base to compress, and a teacher that is better than ResNet8.

    TFOPT_TEST_DATA=folder python -m tests.benchmarks.train_resnet20 --epochs=24 --save=resnet20.keras

He et al. 2016 (arXiv 1603.05027), batch norms in front, with 1 x 1 convolutions where the width changes. SGD with
Nesterov momentum, weights decayed, a rate that rises for a fifth of the steps and falls on a cosine; images flipped and
shifted by up to 4 pixels. It computes in bfloat16 if `--bfloat16` and is saved in float32.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from typing import Any

import keras
import numpy as np
from absl import app, flags

from tests.benchmarks import cifar10

_EPOCHS = flags.DEFINE_integer("epochs", 24, "Epochs.")
_BLOCKS = flags.DEFINE_integer("blocks", 3, "Blocks of each width; 3 for ResNet20, 9 for ResNet56.")
_WIDTH = flags.DEFINE_integer("width", 16, "Channels of the first blocks.")
_RATE = flags.DEFINE_float("learning_rate", 0.15, "The highest rate.")
_BFLOAT16 = flags.DEFINE_bool("bfloat16", False, "Compute in bfloat16.")
_SAVE = flags.DEFINE_string("save", None, "Where the model is written.", required=True)

_BATCH = 128


def resnet(blocks: int, width: int) -> keras.Model:
    """The network, for images of 0 to 255, with logits."""
    layers, plain = keras.layers, {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    inputs = keras.Input((32, 32, 3), name="image")
    x = layers.Rescaling(1 / 64, -2.0)(inputs)
    x = layers.Conv2D(width, 3, **plain)(x)
    for stage in range(3):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            y = layers.ReLU()(layers.BatchNormalization()(x))
            if strides > 1:
                x = layers.Conv2D(width << stage, 1, strides=strides, **plain)(y)
            y = layers.Conv2D(width << stage, 3, strides=strides, **plain)(y)
            y = layers.ReLU()(layers.BatchNormalization()(y))
            x = layers.Add()([x, layers.Conv2D(width << stage, 3, **plain)(y)])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.BatchNormalization()(x)))
    return keras.Model(inputs, layers.Dense(10, dtype="float32", name="logits")(x), name="resnet")


class Shifted(keras.utils.PyDataset):
    """Batches in random order, flipped at random and shifted by up to 4 pixels."""

    def __init__(self, x: np.ndarray, y: np.ndarray, seed: int) -> None:
        super().__init__()
        self.x = np.pad(x.astype("uint8"), ((0, 0), (4, 4), (4, 4), (0, 0)))
        self.y, self.rng = y, np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self.y) // _BATCH

    def on_epoch_end(self) -> None:
        self.order = self.rng.permutation(len(self.y))

    def __getitem__(self, index: int) -> Any:
        rows = self.order[index * _BATCH : (index + 1) * _BATCH]
        top, left, flip = self.rng.integers(0, (9, 9, 2), (len(rows), 3)).T
        down, across = top[:, None] + np.arange(32), left[:, None] + np.arange(32)
        across = np.where(flip[:, None] == 1, across[:, ::-1], across)
        images = self.x[rows[:, None, None], down[:, :, None], across[:, None, :]]
        return images.astype("float32"), self.y[rows]


def main(_: list[str]) -> None:
    """Train, save, and print the accuracy on the test images."""
    keras.utils.set_random_seed(cifar10.FLAGS.seed)
    data, test = cifar10.load_data()
    if _BFLOAT16.value:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model, batches = resnet(_BLOCKS.value, _WIDTH.value), Shifted(*data, cifar10.FLAGS.seed)
    steps = _EPOCHS.value * len(batches)
    rate = keras.optimizers.schedules.CosineDecay(
        _RATE.value / 10, steps - steps // 5, warmup_target=_RATE.value, warmup_steps=steps // 5
    )
    # Ten times 5e-4: Keras decays beside the momentum, not through it.
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=5e-3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    model.fit(batches, epochs=_EPOCHS.value, verbose=2)
    keras.mixed_precision.set_global_policy("float32")
    plain = resnet(_BLOCKS.value, _WIDTH.value)
    plain.set_weights(model.get_weights())
    plain.save(_SAVE.value)
    print(f"{cifar10.accuracy(plain, test):.2f} % of {len(test[1]):,} test images")


if __name__ == "__main__":
    app.run(main)
