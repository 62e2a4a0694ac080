"""Clustering: weights that share a few values, so that files of them compress."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
