"""A network of each family in `tf_keras.applications`; run as a program of its own.

`python -m tests.legacy.application_rows MobileNet VGG16` prints as JSON how far each converted network is off.
"""

import json
import sys
import warnings
from typing import Any

import numpy as np

# Name -> the smallest input that the network takes.
APPLICATIONS = {
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "MobileNetV3Large": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "EfficientNetV2S": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "ResNetRS50": 32,
    "DenseNet121": 32,
    "NASNetMobile": 32,
    "InceptionV3": 75,
    "InceptionResNetV2": 75,
    "Xception": 71,
    "VGG16": 32,
    "VGG19": 32,
    "RegNetX002": 32,
    "RegNetY002": 32,
    "ConvNeXtTiny": 32,
}


def _jitter(model: Any) -> None:
    """Moves all weights a little: means of 0 and variances of 1 would hide a batch norm's mistakes."""
    rng = np.random.default_rng(0)
    model.set_weights([w * rng.uniform(0.8, 1.2, w.shape) + _shift(rng, w) for w in model.get_weights()])


def _shift(rng: np.random.Generator, weight: np.ndarray) -> Any:
    return rng.uniform(0.0, 0.02, weight.shape) if weight.ndim == 1 else 0.0


def main(names: list[str]) -> None:
    warnings.simplefilter("ignore")
    import keras
    import tf_keras

    from tfopt.legacy import from_keras2
    from tfopt.legacy._compare import compare

    # In float32 a hundred layers differ by rounding as much as by a small mistake, and by another amount on each CPU.
    # Both: Keras 3 makes constants of layers, as Normalization's, in its own.
    tf_keras.backend.set_floatx("float64")
    keras.config.set_floatx("float64")
    tf_keras.utils.set_random_seed(0)
    results = {}
    for name in names:
        size = APPLICATIONS[name]
        tf_keras.backend.clear_session()
        try:
            build = getattr(tf_keras.applications, name)
            shape = (size, size, 3)
            model = build(weights=None, input_shape=shape, classes=10, classifier_activation=None)
            _jitter(model)
            results[name] = compare(model, from_keras2(model))
        except Exception as error:
            results[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1:] or list(APPLICATIONS))
