"""From a model and data to a verified file: `compress`, and the table of techniques that it applies."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
