"""What `verify` returns."""

import dataclasses
import os

from tfopt._report import Report, Table
from tfopt._text import format_bytes, names_with_counts, percent
from tfopt.runtimes._model_explorer import write_overlay
from tfopt.runtimes._parity import FLOAT_TOLERANCE, OutputParity
from tfopt.runtimes._registry import RUNTIMES
from tfopt.runtimes._tensor_parity import TensorParity, describe_drift


@dataclasses.dataclass(frozen=True)
class KernelSummary:
    """A weight kernel of a file.

    Args:
        name: name in the file.
        shape: shape in the file (TFLite puts output channels first).
        bits: bits of one value.
        size: number of values.
        sparsity: zeros as a fraction of `size`.

    Example:

    >>> KernelSummary("dense", (3, 4), bits=8, size=12, sparsity=0.75).sparsity
    0.75
    """

    name: str
    shape: tuple[int, ...]
    bits: int
    size: int
    sparsity: float


@dataclasses.dataclass(frozen=True)
class VerifyReport(Report):
    """What `verify` found; print it, or test `report.passed`.

    Args:
        path: the file.
        passed: whether every output value is within the tolerance on every runtime. It does not depend on the
            operators.
        samples: number of samples run through all.
        tolerance: steps of an integer output's grid that pass.
        outputs: one `OutputParity` for each output of each runtime that could run the file.
        operators: how often each operator occurs.
        float_ops: how often each operator that computes on floats occurs. Empty for an integer file.
        inner_quantize_ops: QUANTIZE and DEQUANTIZE operators that are not at an input or output.
        custom_ops: operators that LiteRT has no kernel for, Flex ones included.
        weight_bits: number of kernel values by their bits.
        sparsity: zeros as a fraction of all kernel values.
        kernels: every weight kernel.
        failure: why a runtime could not run the file, else None.
        runtimes: the names of the runtimes.
        tensors: one `TensorParity` for each tensor inside that was compared, in the order in which the file writes
            them, runtime by runtime.
        first_drift: the first of them that is not equal everywhere; None if there is none.
        unmatched: layers of the Keras model whose tensors were not found in the file.
        arena_bytes: memory that TFLite Micro takes for the file; None if it was not run there.
        float_tolerance: share of a float output's range that passes.

    Example: see `verify`.
    """

    path: str
    passed: bool
    samples: int
    tolerance: int
    outputs: tuple[OutputParity, ...]
    operators: dict[str, int]
    float_ops: dict[str, int]
    inner_quantize_ops: int
    custom_ops: tuple[str, ...]
    weight_bits: dict[int, int]
    sparsity: float
    kernels: tuple[KernelSummary, ...]
    failure: str | None = None
    runtimes: tuple[str, ...] = ("xnnpack",)
    tensors: tuple[TensorParity, ...] = ()
    first_drift: TensorParity | None = None
    unmatched: tuple[str, ...] = ()
    arena_bytes: int | None = None
    float_tolerance: float = FLOAT_TOLERANCE

    def table(self) -> Table:
        """One row for each output of each runtime."""
        verdict = "passed" if self.passed else "FAILED"
        rows = [
            (
                *((output.runtime,) if len(self.runtimes) > 1 else ()),
                output.name,
                output.dtype,
                f"{output.values:,}",
                percent(output.equal),
                percent(output.within_1),
                percent(output.within_2),
                f"{output.max_abs:.2g}" if output.max_steps is None else f"{output.max_steps} steps",
            )
            for output in self.outputs
        ]
        several = ("runtime",) if len(self.runtimes) > 1 else ()
        columns = (*several, "output", "dtype", "values", "bit-equal", "within 1", "within 2", "largest")
        title = f"{os.path.basename(self.path)}: {verdict} on {self.samples:,} samples"
        return Table(title, columns, tuple(rows), self._notes())

    def to_model_explorer(self, path: str | os.PathLike, runtime: str | None = None) -> None:
        """Writes a JSON file that Model Explorer shows over the graph: how many steps each tensor is off.

        Open the .tflite file there and add this one with "Add per-node data", or from Python with
        `model_explorer.config().add_model_from_path(...).add_node_data_from_path(path)`
        (https://github.com/google-ai-edge/model-explorer). Green nodes are equal.

        Args:
            path: the JSON file to write.
            runtime: the runtime of the tensors; by default the first one that has some.

        Raises:
            ValueError: no tensors were compared on that runtime.
        """
        have = dict.fromkeys(tensor.runtime for tensor in self.tensors)
        name = runtime or next(iter(have), "")
        if name not in have:
            raise ValueError(
                f"The report holds no tensors{f' of {runtime!r}' if runtime else ''} to draw. Call verify(..., "
                "per_tensor=True) with the model that tfopt.quantize returned."
            )
        title = f"{RUNTIMES[name].title}: steps from the Keras model"
        write_overlay([tensor for tensor in self.tensors if tensor.runtime == name], title, path)

    def _why_more(self) -> str:
        is_usual = self.float_tolerance == FLOAT_TOLERANCE
        return "" if is_usual else f", as the file rounds weights to {min(self.weight_bits)} bits"

    def _notes(self) -> tuple[str, ...]:
        notes = [self.failure] if self.failure else []
        notes += [
            f"{o.name}: {o.not_finite:,} values are NaN or infinite." for o in self.outputs if o.not_finite
        ]
        notes += self._drift()
        if any(output.scale for output in self.outputs):
            notes.append(f"Integer outputs: in steps of the file's grid; {self.tolerance} passes.")
        if not self.passed and not {"SOFTMAX", "LOGISTIC"}.isdisjoint(self.operators):
            notes.append(
                "After a softmax or sigmoid, one step of a logit is several steps of a probability: "
                "export the model without it to compare the logits, or pass a larger tolerance."
            )
        if any(not output.scale for output in self.outputs):
            notes.append(
                f"Float outputs: 'within 1' is {self.float_tolerance:g} of the output's range, which passes"
                f"{self._why_more()}."
            )
        return (*notes, *self._contents())

    def _drift(self) -> list[str]:
        """Where differences begin, a line for each runtime."""
        notes = []
        for name in self.runtimes:
            tensors = tuple(tensor for tensor in self.tensors if tensor.runtime == name)
            if tensors:
                notes.append(describe_drift(tensors, RUNTIMES[name].title))
        if self.unmatched:
            notes.append(f"Not found in the file: the tensors of {', '.join(self.unmatched)}.")
        return notes

    def _contents(self) -> list[str]:
        """What is in the file."""
        notes = [
            f"Operators: {names_with_counts(self.operators)}.",
            f"Computing in float: {names_with_counts(self.float_ops)}. QUANTIZE/DEQUANTIZE inside: "
            f"{self.inner_quantize_ops}. Flex or custom: {', '.join(self.custom_ops) or 'none'}.",
        ]
        bits = ", ".join(f"{size:,} in {bits} bits" for bits, size in self.weight_bits.items())
        notes.append(
            f"Kernel weights: {bits or 'none'}; {percent(self.sparsity)} zeros{self._least_sparse()}."
        )
        if self.arena_bytes is not None:
            notes.append(f"TFLite Micro's arena, on a 64-bit machine: {format_bytes(self.arena_bytes)}.")
        return notes

    def _least_sparse(self) -> str:
        if len(self.kernels) < 2:
            return ""
        least, most = (f(kernel.sparsity for kernel in self.kernels) for f in (min, max))
        return f", {percent(least)} to {percent(most)} in each of {len(self.kernels)} kernels"
