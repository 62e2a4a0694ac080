"""A family of kernels: how one runtime rounds, a row for each kind of kernel."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from tfopt.kernels._grids import Grid
from tfopt.kernels._lstm_rules import LstmRules

# What rounds: the quantizers of the inputs, the output computed in float, the tensors that the kernel reads, and the
# grid of the output, or what `KernelRule.numbers` makes of it -> codes counted from that of 0.0, not clipped.
Rounding = Callable[[tuple[Any, ...], Any, Any, Any], Any]


@dataclasses.dataclass(frozen=True)
class KernelRule:
    """How one kind of kernel rounds.

    Attributes:
        reads: how many float tensors the kernel reads.
        codes: what it makes of them.
        numbers: `(quantizers of the inputs, grid of the output) -> what codes reads in place of the grid`: its
            multipliers, which depend on weights alone and are computed once. None where the grid is all.
    """

    reads: int
    codes: Rounding
    numbers: Callable[[tuple[Any, ...], Grid], Any] | None = None

    def numbers_of(self, sources: tuple[Any, ...], grid: Grid) -> Any:
        """The last argument of `codes`."""
        return grid if self.numbers is None else self.numbers(sources, grid)

    def __call__(self, sources: tuple[Any, ...], x: Any, operands: Any, grid: Grid) -> Any:
        """The codes, for an output on this grid."""
        return self.codes(sources, x, operands, self.numbers_of(sources, grid))


@dataclasses.dataclass(frozen=True)
class Family:
    """The kernels of one runtime; nothing outside `tfopt.kernels` asks which runtime it is.

    Attributes:
        name: the name under which `FAMILIES` and saved models know it.
        int8: kind of kernel without weights -> how it rounds 8-bit codes. What is not in it rounds its float result to
            the nearest code, halves as its row in `OPERATIONS` says.
        int16: the same for 16-bit codes, where that differs.
        multiplier: `(weights, (input_step, weight_step), output_step, num_bits) -> multiplier` of sums, for all that
            has weights.
        requantize: `(weights, sums, multiplier, num_bits) -> codes`.
        lstm: the parts of its LSTM kernel.
        smallest_step: `(kind, steps, num_bits) -> step`: the smallest step of the output that a kernel can write, from
            the steps of what it reads and, where it has weights, the largest of theirs; 0.0 where any will do.
        quantize_ties: where QUANTIZE, which brings floats to codes, takes halves: "even" or "away_from_zero".
        coarse_roots: whether RSQRT of small 16-bit codes is far off.
    """

    name: str
    int8: Mapping[str, KernelRule]
    int16: Mapping[str, KernelRule]
    multiplier: Callable[..., Any]
    requantize: Callable[..., Any]
    lstm: LstmRules
    smallest_step: Callable[[str, tuple[Any, ...], int], Any]
    quantize_ties: str = "even"
    coarse_roots: bool = False

    def rule(self, kind: str, num_bits: int) -> KernelRule | None:
        """How kernels of a kind round codes of so many bits; None where they do nothing special."""
        return (self.int16.get(kind) if num_bits > 8 else None) or self.int8.get(kind)
