from ._activations import keras2_hard_sigmoid
from ._from_keras2 import from_keras2
from ._ranges import ranges_of, set_ranges

__all__ = ["from_keras2", "keras2_hard_sigmoid", "ranges_of", "set_ranges"]
