"""A kernel of a model: which family's, what it reads and multiplies with; and its output in codes."""

import dataclasses
from typing import Any

from tfopt._host_ops import ops
from tfopt.kernels._families import FAMILIES
from tfopt.kernels._family import KernelRule
from tfopt.kernels._once import once
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
        equation: of `keras.ops.einsum`, where the kernel multiplies matrices by one.
    """

    kind: str
    sources: tuple[Any, ...]
    weights: KernelWeights | None = None
    activation: str = ""
    family: str = "xnnpack"
    equation: str = ""

    def codes(self, x: Any, operands: Any, output: Any) -> Any:
        """The kernel's output in codes, before it clips them, from the real numbers that they stand for.

        Args:
            x: float tensor, channels last: the output computed in float.
            operands: the float tensors that the kernel reads, where `x` does not tell them.
            output: the quantizer of the output.

        Returns:
            float32 tensor of the shape of `x`, of whole numbers counted from the code of 0.0.
        """
        x, numbers = ops.cast(x, "float32"), self.numbers(output)
        if self.weights is not None and self.kind == "weights":
            requantize = FAMILIES[self.family].requantize
            codes = weighted_codes(self.weights, self.sources[0], requantize, numbers, x, operands)
        else:
            values = () if self.weights is None else (self.weights.values(),)
            values = (*values, self.equation) if self.equation else values
            codes = self._rule().codes(self._read(), x, (*(operands or ()), *values), numbers)
        return self._clipped(codes, output)

    @once
    def numbers(self, output: Any) -> Any:
        """What `codes` reads that depends on weights alone.

        Args:
            output: the quantizer of the output.
        """
        if self.weights is not None and self.kind == "weights":
            return self.weights.along(self.sources[0], output, FAMILIES[self.family].multiplier)
        return self._rule().numbers_of(self._read(), output.grid())

    def _rule(self) -> KernelRule:
        rule = FAMILIES[self.family].rule(self.kind, self.sources[0].num_bits)
        if rule is None:
            raise ValueError(f"The family {self.family!r} has no rule for kernels of the kind {self.kind!r}.")
        return rule

    def _read(self) -> tuple[Any, ...]:
        """The quantizers of all that is read: slopes too, which a kernel reads as it reads activations."""
        return self.sources if self.weights is None else (*self.sources, self.weights)

    def _clipped(self, codes: Any, output: Any) -> Any:
        """The codes behind the activation: rules that read operands do not see what `x` went through.

        Where a grid has codes below 0.0, that counts.
        """
        codes = ops.maximum(codes, 0.0) if self.activation else codes
        return ops.minimum(codes, ops.round(6.0 / output.step())) if self.activation == "relu6" else codes

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
