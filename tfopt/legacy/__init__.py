"""Legacy: Keras 2 (tf_keras) models, through tensorflow-model-optimization."""

from tfopt.legacy._activations import keras2_hard_sigmoid
from tfopt.legacy._from_keras2 import from_keras2

__all__ = ["from_keras2", "keras2_hard_sigmoid"]
