"""Proof that a .tflite file computes what the Keras model computes."""

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfopt._keras_model import check_keras_model
from tfopt._progress import progress
from tfopt._samples import count, gather
from tfopt.kernels import TARGETS, IntegerModel, target_of
from tfopt.runtimes._codes import quantize_values
from tfopt.runtimes._parity import FLOAT_TOLERANCES, OutputParity, pair_outputs, parity_of
from tfopt.runtimes._predict import predict
from tfopt.runtimes._registry import load, names_of
from tfopt.runtimes._simulation import Simulation
from tfopt.runtimes._tensor_parity import TensorParity, compare_tensors, first_drift
from tfopt.runtimes._tflite_file import TFLiteFile
from tfopt.runtimes._verify_report import KernelSummary, VerifyReport

DRIFT_SAMPLES = 32  # samples with differences whose tensors are compared by default


def verify(
    model: keras.Model,
    path: str | os.PathLike | bytes,
    samples: Any,
    tolerance: int = 1,
    runtime: str | Sequence[str] | None = None,
    per_tensor: bool | None = None,
) -> VerifyReport:
    """Runs a Keras model and a .tflite file on the same samples and reports how far they are apart.

    Use it after every export, with samples like those in the application; it also lists what is in the file. It does
    not raise an error if outputs differ: test `if not report.passed`. Integer outputs are compared in steps of the
    file's grid, the difference between the file's integer and `round(y / scale) + zero_point` of the Keras output `y`
    (Jacob et al., 2018, arXiv:1712.05877); float outputs relative to the output's range. Where outputs of a quantized
    model differ, the tensors inside are compared too, and the report names the first layer that drifts.

    Args:
        model: the model that was exported: the quantized one, to prove that the file computes what was trained.
        path: the .tflite file, or its bytes.
        samples: inputs as `model.predict` takes them: an array `(samples, ...)`, a list or dict of arrays for several
            inputs, a `tf.data.Dataset` or `keras.utils.PyDataset`. Labels in tuples `(x, y)` are left out.
        tolerance: steps that an integer output may be off. Float outputs may be off `1e-4` of their range;
            those of a float model whose file has rounded weights `2e-3` (float16), `0.02` (8 bits: dynamic range or
            weights alone) or `0.3` (4 bits), which the report states.
        runtime: the runtime of the file, one name or several; by default the runtime of the target that the model was
            quantized for: `"xnnpack"` (LiteRT as applications run it), `"builtin"`,
            `"reference"` (LiteRT's other kernels) or `"tflm"` (TFLite Micro).
        per_tensor: compare the tensors inside as well. By default on the samples whose outputs differ, 32 at most;
            with True on all samples, with False never.

    Returns:
        A `VerifyReport`.

    Raises:
        ValueError: the path is missing or not a .tflite file; samples are empty, NaN or of another shape than the
            file's inputs; the file has other outputs than the model; `runtime` is unknown; or `per_tensor` is True and
            the model has no `FakeQuantize` layers.
        TypeError: `model` is not a Keras model.
        ImportError: a runtime is not installed.

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
    names = names_of(_runtime_of(model) if runtime is None else runtime)
    file = TFLiteFile.read(path)
    x, _ = gather(samples, file.inputs)
    order = tuple(tensor.name for tensor in getattr(model, "inputs", None) or ())
    raw, failures, arena = _run_all(file, x, order, names)
    expected = pair_outputs(predict(model, x), file.outputs) if raw else []
    allowed = _float_tolerance(model, file)
    outputs = [
        dataclasses.replace(parity_of(tensor, values[tensor.name], wanted, tolerance, allowed), runtime=name)
        for name, values in raw.items()
        for tensor, wanted in zip(file.outputs, expected, strict=True)
    ]
    rows = {name: _rows_to_compare(file, values, expected, per_tensor) for name, values in raw.items()}
    tensors, unmatched = _compare_inside(model, file, x, order, rows, per_tensor)
    report = _report(file, count(x), tolerance, tuple(outputs), " ".join(failures) or None)
    return dataclasses.replace(
        report,
        passed=report.passed and not failures,
        runtimes=names,
        tensors=tensors,
        first_drift=first_drift(tensors),
        unmatched=unmatched,
        arena_bytes=arena,
        float_tolerance=allowed,
    )


def _float_tolerance(model: keras.Model, file: TFLiteFile) -> float:
    """How far float outputs may be off: a quantized model's weights are on their grid in Keras too."""
    least = 32 if isinstance(model, IntegerModel) else min(file.weight_bits, default=32)
    return next(share for bits, share in FLOAT_TOLERANCES.items() if least <= bits)


def _runtime_of(model: keras.Model) -> str:
    return TARGETS[target_of(model)].runtime


def _run_all(
    file: TFLiteFile, x: Any, order: tuple[str, ...], names: tuple[str, ...]
) -> tuple[dict[str, dict[str, np.ndarray]], list[str], int | None]:
    """The raw outputs of each runtime that can run the file, why others cannot, and TFLite Micro's memory."""
    raw: dict[str, dict[str, np.ndarray]] = {}
    failures: list[str] = []
    needed = None
    with progress("Verifying", total=count(x) * len(names)) as advance:
        for name in names:
            try:
                loaded = load(file, name)
                raw[name] = loaded.run(x, order, advance).raw
            except RuntimeError as error:
                failures.append(str(error))
                continue
            arena = getattr(loaded, "arena", None)
            needed = arena.total if arena else needed
    return raw, failures, needed


def _rows_to_compare(
    file: TFLiteFile, raw: dict[str, np.ndarray], expected: list[np.ndarray], per_tensor: bool | None
) -> np.ndarray:
    """The samples whose tensors are compared: all, none, or some whose outputs differ."""
    total = len(expected[0])
    if per_tensor is not None:
        return np.arange(total if per_tensor else 0)
    differs = np.zeros(total, bool)
    for tensor, wanted in zip(file.outputs, expected, strict=True):
        if tensor.scale:
            codes = quantize_values(wanted, tensor.scale, tensor.zero_point, tensor.dtype)
        else:
            codes = wanted.astype(tensor.dtype)
        differs |= (codes != raw[tensor.name]).reshape(total, -1).any(axis=1)
    return np.flatnonzero(differs)[:DRIFT_SAMPLES]


def _compare_inside(
    model: keras.Model,
    file: TFLiteFile,
    x: Any,
    order: tuple[str, ...],
    rows: dict[str, np.ndarray],
    per_tensor: bool | None,
) -> tuple[tuple[TensorParity, ...], tuple[str, ...]]:
    """The tensors inside, on the chosen samples of each runtime, and the layers that were not found."""
    found: list[TensorParity] = []
    unmatched: tuple[str, ...] = ()
    if not per_tensor and not any(len(chosen) for chosen in rows.values()):
        return (), ()
    simulation = Simulation(model, x)
    if per_tensor and not simulation.tensors:
        raise ValueError(
            "The 'per_tensor' argument must not be True for a model without FakeQuantize layers. Only these show "
            f"what a kernel writes. Got {type(model).__name__} {model.name!r}. Pass what tfopt.quantize returned."
        )
    for name, chosen in rows.items():
        if simulation.tensors and len(chosen):
            part = keras.tree.map_structure(lambda array, chosen=chosen: array[chosen], x)
            loaded = load(file, name, keep_tensors=True)
            tensors, unmatched = compare_tensors(simulation, loaded, name, part, order)
            found.extend(tensors)
    return tuple(found), unmatched


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
    check_keras_model(model)
    if not isinstance(tolerance, (int, np.integer)) or isinstance(tolerance, bool) or tolerance < 0:
        raise ValueError(
            f"The 'tolerance' argument must be a whole number of steps, 0 or more. Got {tolerance!r} instead. "
            "Pass 1 to accept the neighbouring integer."
        )
