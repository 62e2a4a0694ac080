from ._from_keras2 import from_keras2

__all__ = ["from_keras2"]
