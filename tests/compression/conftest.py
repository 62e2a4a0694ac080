"""A network for TFLite Micro whose file is converted once, with kernels that suit each form."""

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tfopt.conversion import Flatbuffer
from tfopt.runtimes import TFLiteFile

SHAPE = (8, 8, 16)


def network() -> keras.Model:
    image = keras.Input(SHAPE, name="image")
    shared = layers.Conv2D(16, 3, padding="same", use_bias=False, name="shared")
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="pruned")(image)
    x = layers.Add(name="sum")([shared(x), shared(image)])
    x = layers.DepthwiseConv2D(3, depth_multiplier=8, name="depthwise")(x)
    x = layers.Conv2D(32, 1, activation="relu", name="gridded")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(
        image, [layers.Dense(32, name="clustered")(x), layers.Dense(8, name="logits")(x)], name="net"
    )


def layer_of(name: str) -> str:
    """The layer of a kernel, by its name in the file; the converter gives none to the shared one."""
    return name.split("/")[0] if "/" in name else "shared"


def edited(content: bytes) -> bytes:
    """The file with other kernels: pruned ones, on a coarse grid, in clusters, and one that is noise."""
    rng = np.random.default_rng(0)
    new = {
        "shared": lambda shape: np.clip(rng.normal(size=shape) * 9, -127, 127),
        "pruned": lambda shape: rng.integers(-127, 128, shape) * (rng.random(shape) < 0.2),
        "depthwise": lambda shape: rng.choice([-60, 0, 60], shape, p=[0.05, 0.9, 0.05]),
        "gridded": lambda shape: rng.integers(-3, 4, shape) * 40,
        "clustered": lambda shape: rng.choice([-90, -20, 20, 90], shape),
        "logits": lambda shape: rng.integers(-127, 128, shape),
    }
    file = Flatbuffer(content)
    for kernel in TFLiteFile.of(file.model).kernels:
        codes = new[layer_of(kernel.name)](kernel.shape).astype("int8")
        file.model.buffers[kernel.buffer].data = codes.reshape(-1).view("uint8")
    file.changed = True
    return file.to_bytes()


@pytest.fixture(scope="session")
def plain(tmp_path_factory) -> bytes:
    """The bytes of the file."""
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("compression") / "plain.tflite"
    x = np.random.default_rng(0).normal(size=(8, *SHAPE)).astype("float32")
    q = tfopt.quantize(network(), x, tfopt.QuantConfig.for_target("tflm"))
    tfopt.export(q, path)
    return edited(path.read_bytes())
