"""Budgets that find their own settings: bits and zeros for each layer, under a number of bytes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
