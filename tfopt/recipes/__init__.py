"""Recipes: what `tfopt.compress` does to a model, as frozen values and as YAML files; some are shipped."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
