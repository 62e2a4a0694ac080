from ._costs import cost, count_macs, estimate_bytes
from ._criteria import score
from ._cut import cut
from ._depth import ResidualBlock, residual_blocks, skip_blocks
from ._make_student import make_student
from ._report import ShrinkReport, ShrunkLayer
from ._select import keep_nonzero, keep_ratio, keep_within, per_saving
from ._shrink import report_of, shrink
from ._update_batch_norm import update_batch_norm

__all__ = [
    "ResidualBlock",
    "ShrinkReport",
    "ShrunkLayer",
    "cost",
    "count_macs",
    "cut",
    "estimate_bytes",
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
