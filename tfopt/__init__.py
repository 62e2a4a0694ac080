"""tfopt makes Keras 3 models small and fast: pruning, quantization and distillation inside `model.fit`.

The names are listed in `__init__.pyi`, of this package and of those inside it; each is imported on first use.
"""

import lazy_loader

from tfopt._serialization import register

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register()
del register
