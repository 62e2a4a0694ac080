"""Read, run, verify and compare .tflite files on LiteRT and TFLite Micro, and ask Vela about Ethos-U."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
