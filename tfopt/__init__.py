"""tfopt makes Keras 3 models small and fast: pruning, quantization and distillation inside `model.fit`."""

from tfopt.conversion import ExportReport, export
from tfopt.distillation import (
    AttentionMaps,
    AttentionTransfer,
    BoundedRegression,
    DecoupledTargets,
    DistillationLoss,
    Distiller,
    EMATeacher,
    FeatureMatching,
    HiddenStates,
    LogitMSE,
    RelationalKD,
    SelfDistillation,
    SimilarityPreserving,
    SoftTargets,
    TeacherCache,
    cache_teacher,
)
from tfopt.pruning import ConstantSparsity, PolynomialDecay, Pruning, PruningReport
from tfopt.quantization import FakeQuantize, QuantConfig, QuantizationReport, quantize
from tfopt.runtimes import CompareReport, VerifyReport, compare, verify
from tfopt.shrinking import PartialLayerNormalization, ShrinkReport, count_macs, shrink, update_batch_norm

__all__ = [
    "AttentionMaps",
    "AttentionTransfer",
    "BoundedRegression",
    "CompareReport",
    "ConstantSparsity",
    "DecoupledTargets",
    "DistillationLoss",
    "Distiller",
    "EMATeacher",
    "ExportReport",
    "FakeQuantize",
    "FeatureMatching",
    "HiddenStates",
    "LogitMSE",
    "PartialLayerNormalization",
    "PolynomialDecay",
    "Pruning",
    "PruningReport",
    "QuantConfig",
    "QuantizationReport",
    "RelationalKD",
    "SelfDistillation",
    "ShrinkReport",
    "SimilarityPreserving",
    "SoftTargets",
    "TeacherCache",
    "VerifyReport",
    "cache_teacher",
    "compare",
    "count_macs",
    "export",
    "quantize",
    "shrink",
    "update_batch_norm",
    "verify",
]
