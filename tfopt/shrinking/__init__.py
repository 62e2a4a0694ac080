"""Shrinking: removes channels, neurons and heads for real, and counts what is left."""

from tfopt.shrinking._costs import cost, count_macs
from tfopt.shrinking._criteria import score
from tfopt.shrinking._cut import cut
from tfopt.shrinking._depth import ResidualBlock, residual_blocks, skip_blocks
from tfopt.shrinking._make_student import make_student
from tfopt.shrinking._report import ShrinkReport, ShrunkLayer
from tfopt.shrinking._select import keep_nonzero, keep_ratio, keep_within, per_saving
from tfopt.shrinking._shrink import report_of, shrink
from tfopt.shrinking._update_batch_norm import update_batch_norm

__all__ = [
    "ResidualBlock",
    "ShrinkReport",
    "ShrunkLayer",
    "cost",
    "count_macs",
    "cut",
    "keep_nonzero",
    "keep_ratio",
    "keep_within",
    "make_student",
    "per_saving",
    "report_of",
    "residual_blocks",
    "score",
    "shrink",
    "skip_blocks",
    "update_batch_norm",
]
