"""Layers of Keras that change images while training, and return them as they are in inference."""

import keras

_RANDOM = """
    Brightness ColorDegeneration ColorJitter Contrast ElasticTransform Erasing Flip GaussianBlur Grayscale Hue Invert
    Perspective Posterization Rotation Saturation Sharpness Shear Translation Zoom
"""
# But not RandomCrop, which crops in inference too.
_NAMES = ("AugMix", "CutMix", "MixUp", "RandAugment", *(f"Random{name}" for name in _RANDOM.split()))


def augments(op: keras.Operation) -> bool:
    """Whether an operation is such a layer.

    >>> import keras
    >>> augments(keras.layers.RandomFlip()), augments(keras.layers.RandomCrop(2, 2))
    (True, False)
    """
    name = type(op).__name__
    return name in _NAMES and getattr(keras.layers, name, None) is type(op)
