"""A network of each family in `tf_keras.applications`; run as a program of its own.

`python -m tests.legacy.application_rows MobileNet VGG16` prints as JSON how far each converted network is off.
"""

import json
import sys
import warnings

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


def main(names: list[str]) -> None:
    warnings.simplefilter("ignore")
    import tf_keras

    from tfopt.legacy import from_keras2
    from tfopt.legacy._compare import compare

    results = {}
    for name in names:
        size = APPLICATIONS[name]
        tf_keras.backend.clear_session()
        try:
            shape = (size, size, 3)
            model = getattr(tf_keras.applications, name)(weights=None, input_shape=shape, classes=10)
            results[name] = compare(model, from_keras2(model))
        except Exception as error:
            results[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1:] or list(APPLICATIONS))
