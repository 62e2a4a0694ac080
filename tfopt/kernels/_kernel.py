"""A kernel of a model: which family's, what it reads and multiplies with; and its output in codes."""

import dataclasses
from typing import Any

from tfopt._host_ops import ops
from tfopt.kernels._families import FAMILIES
from tfopt.kernels._grids import Grid
from tfopt.kernels._weighted import KernelWeights, weighted_codes


@dataclasses.dataclass(frozen=True, eq=False)
class Kernel:
    """The kernel that writes a site.

    Attributes:
        kind: the kind of its operation; "weights" for all that has weights, which differ in `weights`.
        sources: the quantizers of its inputs.
        weights: what it multiplies with, if it has weights; the slopes of a PReLU.
        activation: what a kernel that is given its operands applies before it rounds: "relu", "relu6" or "".
        family: a key of `FAMILIES`.
    """

    kind: str
    sources: tuple[Any, ...]
    weights: KernelWeights | None = None
    activation: str = ""
    family: str = "xnnpack"

    def codes(self, x: Any, operands: Any, grid: Grid) -> Any:
        """The kernel's output in codes, before it clips them, from the real numbers that they stand for.

        Args:
            x: float tensor, channels last: the output computed in float.
            operands: the float tensors that the kernel reads, where `x` does not tell them.
            grid: the grid of the output.

        Returns:
            float32 tensor of the shape of `x`, of whole numbers counted from the code of 0.0.
        """
        family, x = FAMILIES[self.family], ops.cast(x, "float32")
        if self.weights is not None and self.kind == "weights":
            codes = weighted_codes(self.weights, self.sources[0], family.requantize, x, grid, operands)
            return self._clipped(codes, grid)
        rule = family.rule(self.kind, self.sources[0].num_bits)
        if rule is None:
            raise ValueError(f"The family {self.family!r} has no rule for kernels of the kind {self.kind!r}.")
        sources = self.sources
        if self.weights is not None:  # slopes, which a kernel reads as it reads activations
            sources, operands = (*sources, self.weights), (*operands, self.weights.values())
        return self._clipped(rule.codes(sources, x, operands, grid), grid)

    def _clipped(self, codes: Any, grid: Grid) -> Any:
        """The codes behind the activation: rules that read operands do not see what `x` went through.

        Where a grid has codes below 0.0, that counts.
        """
        codes = ops.maximum(codes, 0.0) if self.activation else codes
        return ops.minimum(codes, ops.round(6.0 / grid.step)) if self.activation == "relu6" else codes

    def compute_grids(self) -> None:
        """Computes what `codes` reads that depends on weights alone."""
        if self.weights is not None and self.kind == "weights":
            self.weights.along(self.sources[0])

    def smallest_step(self) -> Any:
        """The smallest step of the output that the kernel can write: a scalar."""
        steps = tuple(source.step() for source in self.sources)
        if self.weights is not None:
            is_sum = self.kind == "weights"
            steps = (*steps, self.weights.largest_step() if is_sum else self.weights.step())
        return FAMILIES[self.family].smallest_step(self.kind, steps, self.sources[0].num_bits)

    def largest(self) -> Any:
        """The largest number that the kernel writes for a code above 0, where that is known: a scalar; else None.

        Numbers of real samples next to 0 would else take all codes of a reciprocal root for themselves.
        """
        return ops.rsqrt(self.sources[0].step()) if self.kind == "Rsqrt" else None

    def stored(self) -> tuple[Any, Any]:
        """What a file holds of a weighted kernel, of each channel: the step of its weights, and the bias."""
        if self.weights is None:
            raise ValueError(f"A kernel of the kind {self.kind!r} has no weights to store.")
        return self.weights.stored(self.sources[0])
