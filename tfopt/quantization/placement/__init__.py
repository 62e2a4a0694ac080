"""Where the kernels round: a graph taken apart, its grids, and the quantizers put into it."""

from tfopt.quantization.placement._applied_masks import read_applied_masks
from tfopt.quantization.placement._cells import with_cells
from tfopt.quantization.placement._constants import round_constants
from tfopt.quantization.placement._decompose import DECOMPOSITIONS, decompose
from tfopt.quantization.placement._insertion import insert, step_counter
from tfopt.quantization.placement._integer_inputs import real_inputs
from tfopt.quantization.placement._joins import part_joins
from tfopt.quantization.placement._non_negative import is_non_negative
from tfopt.quantization.placement._place import KernelPlan, Placement, place
from tfopt.quantization.placement._recurrent import open_recurrent
from tfopt.quantization.placement._shared_grids import SharedGrid
from tfopt.quantization.placement._split_activations import split_activations
from tfopt.quantization.placement._wide_layers import residual_sums, widen_layers

__all__ = [
    "DECOMPOSITIONS",
    "KernelPlan",
    "Placement",
    "SharedGrid",
    "decompose",
    "insert",
    "is_non_negative",
    "open_recurrent",
    "part_joins",
    "place",
    "read_applied_masks",
    "real_inputs",
    "residual_sums",
    "round_constants",
    "split_activations",
    "step_counter",
    "widen_layers",
    "with_cells",
]
