"""Distillation: a student model learns from a teacher inside `model.fit`."""

from tfopt.distillation._attention_maps import AttentionMaps, attention_map_mse
from tfopt.distillation._attention_transfer import AttentionTransfer, attention_transfer
from tfopt.distillation._bounded_regression import BoundedRegression, bounded_regression
from tfopt.distillation._cache_teacher import cache_teacher
from tfopt.distillation._class_loss import ClassLoss
from tfopt.distillation._decoupled import DecoupledTargets, decoupled_targets
from tfopt.distillation._distiller import Distiller
from tfopt.distillation._feature_loss import FeatureLoss
from tfopt.distillation._feature_matching import FeatureMatching, HiddenStates, feature_mse
from tfopt.distillation._keras_losses import KerasDistillationLoss
from tfopt.distillation._logit_mse import LogitMSE, logit_mse
from tfopt.distillation._loss import DistillationLoss
from tfopt.distillation._self_teachers import EMATeacher, SelfDistillation
from tfopt.distillation._similarity import (
    RelationalKD,
    SimilarityPreserving,
    relational_angles,
    relational_distances,
    similarity_preserving,
)
from tfopt.distillation._soft_targets import SoftTargets, soft_targets
from tfopt.distillation._teacher_cache import TeacherCache

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
