"""Pruning: schedules, criteria, patterns and the callback that makes weights zero while a model trains."""

from tfopt.pruning._budgets import erk_densities
from tfopt.pruning._criteria import batch_norm_gamma, fisher, lamp, magnitude, random_scores, taylor, wanda
from tfopt.pruning._layouts import Layout, layout_of
from tfopt.pruning._masks import (
    apply_mask,
    magnitude_mask,
    regrow_mask,
    soft_threshold,
    unit_mask,
    unstructured_mask,
    zero_count,
)
from tfopt.pruning._patterns import Block, Lanes, NofM, Pattern, parse_pattern
from tfopt.pruning._pruning import Pruning
from tfopt.pruning._ramps import CosineDecay, ExponentialDecay
from tfopt.pruning._regrowth import SET, Regrowth, RigL
from tfopt.pruning._report import LayerSparsity, PruningReport
from tfopt.pruning._rounds import Iterative, OneShot
from tfopt.pruning._schedules import ConstantSparsity, PolynomialDecay, SparsitySchedule
from tfopt.pruning._sparsity_report import sparsity_report
from tfopt.pruning._targets import Target, find_targets

__all__ = [
    "SET",
    "Block",
    "ConstantSparsity",
    "CosineDecay",
    "ExponentialDecay",
    "Iterative",
    "Lanes",
    "LayerSparsity",
    "Layout",
    "NofM",
    "OneShot",
    "Pattern",
    "PolynomialDecay",
    "Pruning",
    "PruningReport",
    "Regrowth",
    "RigL",
    "SparsitySchedule",
    "Target",
    "apply_mask",
    "batch_norm_gamma",
    "erk_densities",
    "find_targets",
    "fisher",
    "lamp",
    "layout_of",
    "magnitude",
    "magnitude_mask",
    "parse_pattern",
    "random_scores",
    "regrow_mask",
    "soft_threshold",
    "sparsity_report",
    "taylor",
    "unit_mask",
    "unstructured_mask",
    "wanda",
    "zero_count",
]
