"""The training steps that the TPU's compiler is given: a row for each."""

from collections.abc import Callable

import keras
import numpy as np

import tfopt
from tests.benchmarks.training_cost import resnet8

IMAGE = (32, 32, 3)
SAMPLES = np.random.default_rng(0).normal(size=(16, *IMAGE)).astype("float32")


def few_channels() -> keras.Model:
    """Three convolutions of few channels, one of them depthwise: what is done for each value weighs most here."""
    layers, model = keras.layers, [keras.Input(IMAGE)]
    for convolution in (
        layers.Conv2D(32, 3, padding="same", use_bias=False),
        layers.DepthwiseConv2D(3, padding="same", use_bias=False),
        layers.Conv2D(64, 1, use_bias=False),
    ):
        model += [convolution, layers.BatchNormalization(), layers.ReLU()]
    return keras.Sequential([*model, layers.GlobalAveragePooling2D(), layers.Dense(10, "softmax")])


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "few channels": few_channels,
    "ResNet8": lambda: resnet8(keras),
}

Made = tuple[keras.Model, list[keras.callbacks.Callback]]


def _quantized(model: keras.Model, momentum: float = 0.99) -> keras.Model:
    """The network on the int8 grid; with a momentum of 1 no range moves."""
    return tfopt.quantize(model, SAMPLES, tfopt.QuantConfig(ranges=tfopt.Ranges(momentum=momentum)))


def _pruning() -> list[keras.callbacks.Callback]:
    """Masks on all kernels."""
    return [tfopt.Pruning(tfopt.ConstantSparsity(0.5), ".*")]


def _all_three(network: Callable[[], keras.Model]) -> Made:
    distiller = tfopt.Distiller(_quantized(network()), network(), [tfopt.SoftTargets()])
    return distiller, _pruning()


# Each row: the model, and the callbacks whose variables its step reads.
STEPS: dict[str, Callable[[Callable[[], keras.Model]], Made]] = {
    "float": lambda network: (network(), []),
    "pruned": lambda network: (network(), _pruning()),
    "quantized": lambda network: (_quantized(network()), []),
    "quantized, ranges still": lambda network: (_quantized(network(), 1.0), []),
    "distilled": lambda network: (tfopt.Distiller(network(), network(), [tfopt.SoftTargets()]), []),
    "all three": _all_three,
}


def compile_model(model: keras.Model) -> None:
    """Adam and a loss."""
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", jit_compile=True)
    model.optimizer.build(model.trainable_variables)
