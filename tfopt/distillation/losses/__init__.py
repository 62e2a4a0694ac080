"""Distillation losses: how far a student is from its teacher, in outputs and in features."""

from tfopt.distillation.losses._attention_maps import AttentionMaps, attention_map_mse
from tfopt.distillation.losses._attention_transfer import AttentionTransfer, attention_transfer
from tfopt.distillation.losses._binary_soft_targets import BinarySoftTargets, binary_soft_targets
from tfopt.distillation.losses._bounded_regression import BoundedRegression, bounded_regression
from tfopt.distillation.losses._class_loss import ClassLoss
from tfopt.distillation.losses._decoupled import DecoupledTargets, decoupled_targets
from tfopt.distillation.losses._dist import DIST, dist_relations
from tfopt.distillation.losses._feature_loss import FeatureLoss
from tfopt.distillation.losses._feature_matching import FeatureMatching, HiddenStates, feature_mse
from tfopt.distillation.losses._keras_losses import KerasDistillationLoss
from tfopt.distillation.losses._logit_mse import LogitMSE, logit_mse
from tfopt.distillation.losses._loss import DistillationLoss
from tfopt.distillation.losses._output_matching import OutputMatching
from tfopt.distillation.losses._similarity import (
    RelationalKD,
    SimilarityPreserving,
    relational_angles,
    relational_distances,
    similarity_preserving,
)
from tfopt.distillation.losses._soft_targets import SoftTargets, soft_targets

__all__ = [
    "DIST",
    "AttentionMaps",
    "AttentionTransfer",
    "BinarySoftTargets",
    "BoundedRegression",
    "ClassLoss",
    "DecoupledTargets",
    "DistillationLoss",
    "FeatureLoss",
    "FeatureMatching",
    "HiddenStates",
    "KerasDistillationLoss",
    "LogitMSE",
    "OutputMatching",
    "RelationalKD",
    "SimilarityPreserving",
    "SoftTargets",
    "attention_map_mse",
    "attention_transfer",
    "binary_soft_targets",
    "bounded_regression",
    "decoupled_targets",
    "dist_relations",
    "feature_mse",
    "logit_mse",
    "relational_angles",
    "relational_distances",
    "similarity_preserving",
    "soft_targets",
]
