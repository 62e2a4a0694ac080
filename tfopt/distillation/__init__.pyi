from ._attention_maps import AttentionMaps, attention_map_mse
from ._attention_transfer import AttentionTransfer, attention_transfer
from ._bounded_regression import BoundedRegression, bounded_regression
from ._cache_teacher import cache_teacher
from ._class_loss import ClassLoss
from ._decoupled import DecoupledTargets, decoupled_targets
from ._distiller import Distiller
from ._feature_loss import FeatureLoss
from ._feature_matching import FeatureMatching, HiddenStates, feature_mse
from ._keras_losses import KerasDistillationLoss
from ._logit_mse import LogitMSE, logit_mse
from ._loss import DistillationLoss
from ._self_teachers import EMATeacher, SelfDistillation
from ._similarity import (
    RelationalKD,
    SimilarityPreserving,
    relational_angles,
    relational_distances,
    similarity_preserving,
)
from ._soft_targets import SoftTargets, soft_targets
from ._teacher_cache import TeacherCache

__all__ = [
    "AttentionMaps",
    "AttentionTransfer",
    "BoundedRegression",
    "ClassLoss",
    "DecoupledTargets",
    "DistillationLoss",
    "Distiller",
    "EMATeacher",
    "FeatureLoss",
    "FeatureMatching",
    "HiddenStates",
    "KerasDistillationLoss",
    "LogitMSE",
    "RelationalKD",
    "SelfDistillation",
    "SimilarityPreserving",
    "SoftTargets",
    "TeacherCache",
    "attention_map_mse",
    "attention_transfer",
    "bounded_regression",
    "cache_teacher",
    "decoupled_targets",
    "feature_mse",
    "logit_mse",
    "relational_angles",
    "relational_distances",
    "similarity_preserving",
    "soft_targets",
]
