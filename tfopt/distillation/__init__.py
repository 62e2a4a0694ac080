"""Distillation: a student model learns from a teacher inside `model.fit`."""

from tfopt.distillation._distiller import Distiller
from tfopt.distillation._loss import DistillationLoss
from tfopt.distillation._soft_targets import SoftTargets, soft_targets

__all__ = ["DistillationLoss", "Distiller", "SoftTargets", "soft_targets"]
