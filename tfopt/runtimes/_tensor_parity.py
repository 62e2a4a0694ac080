"""How far each tensor inside of a .tflite file is from the simulation's, and where the first difference is."""

import dataclasses
from typing import Any

import keras
import numpy as np

from tfopt._samples import count
from tfopt.runtimes._codes import quantize_values
from tfopt.runtimes._match import Written, match, written_tensors
from tfopt.runtimes._runtime import Runtime
from tfopt.runtimes._simulation import Simulation

CHUNK = 8  # samples whose tensors are in memory at once


@dataclasses.dataclass(frozen=True)
class TensorParity:
    """One tensor inside of a file against the same tensor of the quantized Keras model.

    Args:
        runtime: the name of the runtime.
        layer: the Keras layer whose kernel writes it.
        operator: the operator of the file that writes it.
        tensor: its name in the file.
        scale: size of one step.
        values: numbers compared.
        differ: how many of them are not equal.
        equal: fraction of them that are equal bit for bit.
        max_steps: largest difference in steps.

    Example:

    >>> TensorParity("xnnpack", "conv", "CONV_2D", "net/conv/Relu", 0.5, 64, 16, 0.75, 2).equal
    0.75
    """

    runtime: str
    layer: str
    operator: str
    tensor: str
    scale: float
    values: int
    differ: int
    equal: float
    max_steps: int


def compare_tensors(
    simulation: Simulation, loaded: Runtime, name: str, x: Any, order: tuple[str, ...]
) -> tuple[tuple[TensorParity, ...], tuple[str, ...]]:
    """Runs both on the same samples and compares tensor by tensor.

    Args:
        simulation: of the Keras model.
        loaded: the file in a runtime that keeps its tensors.
        name: the runtime's name.
        x: what `gather` returned.
        order: names of the Keras model's inputs.

    Returns:
        The tensors in the order in which the file writes them, and the layers whose tensors the file does not have.
    """
    written = written_tensors(loaded.file)
    pairs: dict[int, int] | None = None
    differ: dict[int, int] = {}
    largest: dict[int, int] = {}
    total = count(x)
    for start in range(0, total, CHUNK):
        part = _rows(x, np.arange(start, start + CHUNK), total)
        size = min(CHUNK, total - start)
        ours = [array[:size] for array in simulation.run(part)]
        wanted = range(len(written)) if pairs is None else sorted(pairs.values())
        theirs = _read(loaded, written, wanted, _rows(x, np.arange(start, start + size), total), order)
        if pairs is None:
            pairs = match(
                simulation.tensors,
                written,
                lambda at, place, ours=ours, theirs=theirs: _steps(  # type: ignore[misc]
                    written[place], theirs[place], ours[at]
                ),
            )
        for at, place in pairs.items():
            steps = np.abs(_steps(written[place], theirs[place], ours[at]))
            differ[at] = differ.get(at, 0) + int(np.count_nonzero(steps))
            largest[at] = max(largest.get(at, 0), int(steps.max()))
    pairs = pairs or {}
    found = [
        _parity(name, simulation.tensors[at].layer, written[place], total, differ[at], largest[at])
        for at, place in sorted(pairs.items(), key=lambda pair: pair[1])
    ]
    missing = tuple(t.layer for at, t in enumerate(simulation.tensors) if at not in pairs and not t.is_input)
    return tuple(found), missing


def first_drift(tensors: tuple[TensorParity, ...], runtime: str | None = None) -> TensorParity | None:
    """The first tensor, in the order in which the file writes them, that is not equal everywhere."""
    return next((t for t in tensors if t.differ and runtime in (None, t.runtime)), None)


def describe_drift(tensors: tuple[TensorParity, ...], title: str) -> str:
    """Where the first difference of a runtime is and how it grows, in a sentence or two."""
    first = first_drift(tensors)
    if first is None:
        return f"{title}: all {len(tensors)} tensors inside are equal."
    behind = [t for t in tensors[tensors.index(first) + 1 :] if t.differ]
    text = (
        f"{title}: the first of {len(tensors)} tensors that differs is that of layer '{first.layer}' "
        f"({first.operator}): {first.differ:,} of {first.values:,} values, by at most {_count(first.max_steps)}."
    )
    if not behind:
        return f"{text} No tensor after it differs."
    most = max(behind, key=lambda t: t.max_steps)
    last = behind[-1]
    return (
        f"{text} After it {len(behind)} more differ, by at most {_count(most.max_steps)} in '{most.layer}'; "
        f"the last one is '{last.layer}', by at most {_count(last.max_steps)}."
    )


def _count(steps: int) -> str:
    return f"{steps} step" if steps == 1 else f"{steps:,} steps"


def _rows(x: Any, rows: np.ndarray, total: int) -> Any:
    """Some of the samples; the last one is repeated past the end, so that all chunks have the same size."""
    return keras.tree.map_structure(lambda array: array[np.minimum(rows, total - 1)], x)


def _read(
    loaded: Runtime, written: list[Written], wanted: Any, x: Any, order: tuple[str, ...]
) -> dict[int, np.ndarray]:
    """What the file writes for these samples, `(samples, values)` of each wanted tensor."""
    parts: dict[int, list[np.ndarray]] = {place: [] for place in wanted}
    for size in loaded.batches(x, order):
        for place, rows in parts.items():
            one = written[place]
            rows.append(loaded.tensor(one.tensor).reshape(one.batch, -1)[:size].astype(np.int32))
    return {place: np.concatenate(rows) for place, rows in parts.items()}


def _steps(one: Written, codes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The file's codes minus the simulation's."""
    tensor = one.tensor
    if codes.shape != values.shape:
        raise ValueError(
            f"The file's tensor {tensor.name!r} has {codes[:1].size} values a sample, and what the model computes "
            f"there {values[:1].size}. Check that the file was exported from this model."
        )
    expected = quantize_values(values, tensor.scale or 1.0, tensor.zero_point, tensor.dtype)
    return codes - expected.astype(np.int32)


def _parity(name: str, layer: str, one: Written, samples: int, differ: int, most: int) -> TensorParity:
    values = one.size * samples
    return TensorParity(
        runtime=name,
        layer=layer,
        operator=one.operator.name,
        tensor=one.tensor.name,
        scale=one.tensor.scale or 0.0,
        values=values,
        differ=differ,
        equal=1.0 - differ / values,
        max_steps=most,
    )
