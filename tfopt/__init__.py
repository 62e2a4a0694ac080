"""tfopt makes Keras 3 models small and fast: pruning, quantization and distillation inside `model.fit`."""

from tfopt.quantization import FakeQuantize, QuantConfig, quantize

__all__ = ["FakeQuantize", "QuantConfig", "quantize"]
