"""Legacy: Keras 2 (tf_keras) models become Keras 3 models, tensorflow-model-optimization's included."""

from tfopt.legacy._activations import keras2_hard_sigmoid
from tfopt.legacy._from_keras2 import from_keras2
from tfopt.legacy._ranges import ranges_of, set_ranges

__all__ = ["from_keras2", "keras2_hard_sigmoid", "ranges_of", "set_ranges"]
