"""Pruning: schedules, criteria, patterns and the callback that makes weights zero while a model trains."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
