"""tfopt makes Keras 3 models small and fast: pruning, quantization and distillation inside `model.fit`."""

from tfopt.conversion import ExportReport, export
from tfopt.distillation import DistillationLoss, Distiller, SoftTargets
from tfopt.pruning import ConstantSparsity, PolynomialDecay, Pruning, PruningReport
from tfopt.quantization import FakeQuantize, QuantConfig, QuantizationReport, quantize
from tfopt.runtimes import CompareReport, VerifyReport, compare, verify
from tfopt.shrinking import PartialLayerNormalization, ShrinkReport, count_macs, shrink, update_batch_norm

__all__ = [
    "CompareReport",
    "ConstantSparsity",
    "DistillationLoss",
    "Distiller",
    "ExportReport",
    "FakeQuantize",
    "PartialLayerNormalization",
    "PolynomialDecay",
    "Pruning",
    "PruningReport",
    "QuantConfig",
    "QuantizationReport",
    "ShrinkReport",
    "SoftTargets",
    "VerifyReport",
    "compare",
    "count_macs",
    "export",
    "quantize",
    "shrink",
    "update_batch_norm",
    "verify",
]
