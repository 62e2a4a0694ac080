"""The networks of `keras.applications`, each in a process of its own: what the batteries over them share."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

# All of them, one of each family first, then their larger siblings by cost.
NETWORKS = (
    *("MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "VGG16", "ResNet50", "ResNet50V2"),
    *("Xception", "InceptionV3", "EfficientNetB0", "EfficientNetV2B0", "DenseNet121", "ConvNeXtTiny"),
    *("NASNetMobile", "InceptionResNetV2", "VGG19", "ResNet101", "ResNet101V2", "DenseNet169"),
    *("EfficientNetB1", "EfficientNetB2", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetB3"),
    *("EfficientNetV2B3", "DenseNet201", "ResNet152", "ResNet152V2", "ConvNeXtSmall", "EfficientNetB4"),
    *("EfficientNetV2S", "EfficientNetB5", "NASNetLarge", "ConvNeXtBase", "EfficientNetB6"),
    *("EfficientNetV2M", "EfficientNetB7", "ConvNeXtLarge", "EfficientNetV2L", "ConvNeXtXLarge"),
)
# The smallest images that most of them take, and those of the others.
SMALLEST = 32
_AT_LEAST = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}


def untrained(name: str, size: int, library: Any = keras) -> Any:
    """A network for ten classes with random weights and logits, for images of `size`, or larger if it must.

    Logits, because the probabilities of an untrained network are all alike, and prove nothing.
    """
    shape = (max(size, _AT_LEAST.get(name, 0)),) * 2 + (3,)
    network = getattr(library.applications, name)
    return network(weights=None, classes=10, classifier_activation=None, input_shape=shape)


def settle(model: Any, x: np.ndarray, library: Any = keras) -> None:
    """Batch-norm statistics of real activations: with fresh ones deep networks put out constants."""
    norms = [layer for layer in model.layers if isinstance(layer, library.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(x, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum


def run(module: str, check: Callable[[str], bool]) -> int:
    """Checks the networks named on the command line, all by default; returns the exit status.

    What begins with dashes is no network, and is handed on to the processes.

    Args:
        module: what Python runs with `-m`, to check one network in a process of its own.
        check: prints a line about a network and returns whether it passes.
    """
    flags = [word for word in sys.argv[1:] if word.startswith("--")]
    names = [word for word in sys.argv[1:] if word not in flags] or NETWORKS
    if len(names) == 1:
        return 0 if check(names[0]) else 1
    passes = [subprocess.run([sys.executable, "-m", module, name, *flags]).returncode == 0 for name in names]
    print(f"{sum(passes)} of {len(passes)} pass")
    return 0 if all(passes) else 1
