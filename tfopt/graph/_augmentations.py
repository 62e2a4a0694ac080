"""Keras' layers that change images in training, and hand them on in inference."""

import keras

# By class. Some draw random numbers in inference too, and leave them unread.
_NAMES = """
    AugMix CutMix MixUp RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast
    RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert
    RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomTranslation RandomZoom
"""
AUGMENTATIONS = frozenset(_NAMES.split())


def augments(op: keras.Operation) -> bool:
    """Whether an operation is one of `AUGMENTATIONS`, and not another class of that name.

    >>> augments(keras.layers.RandomFlip()), augments(keras.layers.Rescaling(1.0))
    (True, False)
    """
    name = type(op).__name__
    return name in AUGMENTATIONS and type(op) is getattr(keras.layers, name, None)
