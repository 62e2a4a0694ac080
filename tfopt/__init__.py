"""tfopt makes Keras 3 models small and fast: pruning, quantization and distillation inside `model.fit`."""

from tfopt.export import ExportReport, export
from tfopt.quantization import FakeQuantize, QuantConfig, quantize

__all__ = ["ExportReport", "FakeQuantize", "QuantConfig", "export", "quantize"]
