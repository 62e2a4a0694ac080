"""Proof that a .tflite file computes what the Keras model computes."""

import dataclasses
import os
from collections import Counter
from typing import Any

import keras
import numpy as np

from tfopt._report import Report, Table
from tfopt._samples import count, gather
from tfopt._text import names_with_counts, percent
from tfopt.runtimes._litert import LiteRT
from tfopt.runtimes._parity import FLOAT_TOLERANCE, OutputParity, pair_outputs, parity_of
from tfopt.runtimes._predict import predict
from tfopt.runtimes._progress import progress
from tfopt.runtimes._tflite_file import TFLiteFile


@dataclasses.dataclass(frozen=True)
class KernelSummary:
    """A weight kernel of a file.

    Args:
        name: Name in the file.
        shape: Shape in the file (TFLite puts output channels first).
        bits: Bits of one value.
        size: Number of values.
        sparsity: Zeros as a fraction of `size`.

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
        path: The file.
        passed: Whether every output value is within the tolerance. Says nothing about the operators.
        samples: Number of samples run through both.
        tolerance: Steps of an integer output's grid that pass.
        outputs: One `OutputParity` for each output; empty if LiteRT could not run the file.
        operators: How often each operator occurs.
        float_ops: How often each operator that computes on floats occurs. Empty for an integer file.
        inner_quantize_ops: QUANTIZE and DEQUANTIZE operators that are not at an input or output.
        custom_ops: Operators that LiteRT has no kernel for, Flex ones included.
        weight_bits: Number of kernel values by their bits.
        sparsity: Zeros as a fraction of all kernel values.
        kernels: Every weight kernel.
        failure: Why LiteRT could not run the file, else None.

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

    def table(self) -> Table:
        """One row for each output."""
        verdict = "passed" if self.passed else "FAILED"
        rows = [
            (
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
        columns = ("output", "dtype", "values", "bit-equal", "within 1", "within 2", "largest")
        title = f"{os.path.basename(self.path)}: {verdict} on {self.samples:,} samples"
        return Table(title, columns, tuple(rows), self._notes())

    def _notes(self) -> tuple[str, ...]:
        notes = [self.failure] if self.failure else []
        notes += [
            f"{o.name}: {o.not_finite:,} values are NaN or infinite." for o in self.outputs if o.not_finite
        ]
        if any(output.scale for output in self.outputs):
            notes.append(f"Integer outputs: in steps of the file's grid; {self.tolerance} passes.")
        if not self.passed and not {"SOFTMAX", "LOGISTIC"}.isdisjoint(self.operators):
            notes.append(
                "Behind a softmax or sigmoid, one step of a logit is several steps of a probability: "
                "export the model without it to compare the logits, or pass a larger tolerance."
            )
        if any(not output.scale for output in self.outputs):
            notes.append(
                f"Float outputs: 'within 1' is {FLOAT_TOLERANCE:g} of the output's range, which passes."
            )
        notes.append(f"Operators: {names_with_counts(self.operators)}.")
        notes.append(
            f"Computing in float: {names_with_counts(self.float_ops)}. QUANTIZE/DEQUANTIZE inside: "
            f"{self.inner_quantize_ops}. Flex or custom: {', '.join(self.custom_ops) or 'none'}."
        )
        bits = ", ".join(f"{size:,} in {bits} bits" for bits, size in self.weight_bits.items())
        notes.append(
            f"Kernel weights: {bits or 'none'}; {percent(self.sparsity)} zeros{self._least_sparse()}."
        )
        return tuple(notes)

    def _least_sparse(self) -> str:
        if len(self.kernels) < 2:
            return ""
        least, most = (f(kernel.sparsity for kernel in self.kernels) for f in (min, max))
        return f", {percent(least)} to {percent(most)} in each of {len(self.kernels)} kernels"


def verify(
    model: keras.Model,
    path: str | os.PathLike | bytes,
    samples: Any,
    tolerance: int = 1,
    kernels: str = "xnnpack",
) -> VerifyReport:
    """Runs a Keras model and a .tflite file on the same samples and reports how far they are apart.

    Use it after every export, with samples that look like the ones in use; it also lists what is in the file. It
    does not raise if outputs differ: test `if not report.passed`. Integer outputs are compared in steps of the
    file's grid, the difference between the file's integer and `round(y / scale) + zero_point` of the Keras output
    `y` (Jacob et al., 2018, arXiv:1712.05877); float outputs relative to the output's range.

    Args:
        model: The model that was exported: the quantized one, to prove that the file computes what was trained.
        path: The .tflite file, or its bytes.
        samples: Inputs as `model.predict` takes them: an array `(samples, ...)`, a list or dict of arrays for several
            inputs, a `tf.data.Dataset` or `keras.utils.PyDataset`. Labels in tuples `(x, y)` are left out.
        tolerance: Steps that an integer output may be off. Float outputs may be off `1e-4` of their range.
        kernels: The kernels LiteRT uses: `"xnnpack"` (its default), `"builtin"` or `"reference"`.

    Returns:
        A `VerifyReport`.

    Raises:
        ValueError: If the path is missing or no .tflite file; if samples are empty, NaN or of another shape than the
            file's inputs; if the file has other outputs than the model.
        TypeError: If `model` is not a Keras model.

    Example:

    >>> import os, tempfile
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu")])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
    >>> model.export(path, format="litert", verbose=False)
    >>> report = verify(model, path, np.ones((8, 4)))
    >>> report.passed, report.samples, report.operators
    (True, 8, {'FULLY_CONNECTED': 1})
    """
    _check_arguments(model, tolerance)
    file = TFLiteFile.read(path)
    x, _ = gather(samples, len(file.inputs))
    outputs: tuple[OutputParity, ...] = ()
    failure = None
    try:
        loaded = LiteRT(file, kernels)
    except RuntimeError as error:
        failure = str(error)
    else:
        order = tuple(tensor.name for tensor in getattr(model, "inputs", None) or ())
        with progress("Verifying", total=count(x)) as advance:
            raw = loaded.run(x, order, advance).raw
        expected = pair_outputs(predict(model, x), file.outputs)
        outputs = tuple(
            parity_of(tensor, raw[tensor.name], values, tolerance)
            for tensor, values in zip(file.outputs, expected, strict=True)
        )
    return _report(file, count(x), tolerance, outputs, failure)


def _report(
    file: TFLiteFile, samples: int, tolerance: int, outputs: tuple[OutputParity, ...], failure: str | None
) -> VerifyReport:
    return VerifyReport(
        path=file.name,
        passed=bool(outputs) and all(output.passed for output in outputs),
        samples=samples,
        tolerance=tolerance,
        outputs=outputs,
        operators=file.op_counts,
        float_ops=dict(Counter(op.name for op in file.float_ops).most_common()),
        inner_quantize_ops=len(file.inner_grid_changes),
        custom_ops=tuple(sorted({op.name for op in file.custom_ops})),
        weight_bits=file.weight_bits,
        sparsity=file.sparsity,
        kernels=tuple(KernelSummary(k.name, k.shape, k.bits, k.size, k.sparsity) for k in file.kernels),
        failure=failure,
    )


def _check_arguments(model: Any, tolerance: Any) -> None:
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"The 'model' argument must be a Keras model. Got {type(model).__name__} instead. "
            "Load a saved one with keras.saving.load_model(path)."
        )
    if not isinstance(tolerance, (int, np.integer)) or isinstance(tolerance, bool) or tolerance < 0:
        raise ValueError(
            f"The 'tolerance' argument must be a whole number of steps, 0 or more. Got {tolerance!r} instead. "
            "Pass 1 to accept the neighbouring integer."
        )
