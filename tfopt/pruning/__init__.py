"""Pruning: schedules, criteria, patterns and the callback that makes weights zero while a model trains."""

from tfopt.pruning._criteria import magnitude
from tfopt.pruning._masks import apply_mask, magnitude_mask, unstructured_mask, zero_count
from tfopt.pruning._pruning import Pruning
from tfopt.pruning._report import LayerSparsity, PruningReport
from tfopt.pruning._schedules import ConstantSparsity, PolynomialDecay, SparsitySchedule
from tfopt.pruning._targets import Target, find_targets

__all__ = [
    "ConstantSparsity",
    "LayerSparsity",
    "PolynomialDecay",
    "Pruning",
    "PruningReport",
    "SparsitySchedule",
    "Target",
    "apply_mask",
    "find_targets",
    "magnitude",
    "magnitude_mask",
    "unstructured_mask",
    "zero_count",
]
