"""Samples from where people have them: arrays, folders of images, CSV, TFRecord, data sets by name, functions."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
