"""Legacy: Keras 2 (tf_keras) models become Keras 3 models, tensorflow-model-optimization's included."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
