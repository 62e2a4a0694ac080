"""How much, where: what each technique costs in each layer, measured and by proxies."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
