from ._budgets import erk_densities
from ._criteria import batch_norm_gamma, fisher, lamp, magnitude, random_scores, taylor, wanda
from ._layouts import Layout, layout_of
from ._masks import (
    apply_mask,
    magnitude_mask,
    regrow_mask,
    soft_threshold,
    unit_mask,
    unstructured_mask,
    zero_count,
)
from ._patterns import Block, Lanes, NofM, Pattern, parse_pattern
from ._pruning import Pruning
from ._ramps import CosineDecay, ExponentialDecay
from ._regrowth import SET, SRSTE, Regrowth, RigL
from ._report import LayerSparsity, PruningReport
from ._rounds import Iterative, OneShot
from ._schedules import ConstantSparsity, PolynomialDecay, SparsitySchedule
from ._sparsity_report import sparsity_report
from ._targets import Target, find_targets

__all__ = [
    "SET",
    "SRSTE",
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
