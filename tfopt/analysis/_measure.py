"""Damage by measurement: one layer is changed at a time, and what depends on it runs again."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfopt.analysis._judge import Judge, parts
from tfopt.analysis._network import Network
from tfopt.analysis._techniques import Changed

# The highest ratio in decibels: above it is float32 rounding.
_EXACT_DB = 140.0


@dataclasses.dataclass
class Outcome:
    """What the network came to over all samples.

    Attributes:
        loss: sum of the losses of samples.
        signal: sum of the squared float outputs.
        noise: sum of the squared differences from them.
        predictions: the outputs, batch by batch; empty where no metric reads them.
    """

    loss: float = 0.0
    signal: float = 0.0
    noise: float = 0.0
    predictions: list[list[np.ndarray]] = dataclasses.field(default_factory=list)

    def decibels(self) -> float:
        """`10 log10(signal / noise)`, at most 140."""
        return decibels(self.signal, self.noise)

    def joined(self) -> list[np.ndarray]:
        """Each output over all samples."""
        return [np.concatenate(arrays) for arrays in zip(*self.predictions, strict=True)]


def decibels(signal: float, noise: float) -> float:
    """`10 log10(signal / noise)`, at most 140; 0 where there is no signal.

    >>> decibels(100.0, 1.0), decibels(1.0, 0.0)
    (20.0, 140.0)
    """
    if noise <= signal * 10 ** (-_EXACT_DB / 10):
        return _EXACT_DB
    return float(10 * np.log10(signal / noise)) if signal > 0 else 0.0


def measure(
    network: Network, judge: Judge, x: Any, changes: Sequence[Changed]
) -> tuple[Outcome, list[Outcome]]:
    """Runs the network as it is, and with each change alone.

    The float network runs once for each batch; behind a change runs only what depends on it.

    Args:
        network: the float network.
        judge: its losses and metric.
        x: inputs.
        changes: what to change.

    Returns:
        What the float network comes to, and what each changed one does.
    """
    exact, found = Outcome(), [Outcome() for _ in changes]
    operations = [one.operations(network.operations) for one in changes]
    for inputs, labels in parts(x, judge.labels, network.batch_size()):
        values = network.run(inputs)
        wanted = network.outputs(values)
        _add(exact, judge, labels, wanted, wanted)
        for outcome, change in zip(found, operations, strict=True):
            _add(outcome, judge, labels, network.outputs(network.run_changed(values, change)), wanted)
    return exact, found


def _add(outcome: Outcome, judge: Judge, labels: Any, outputs: list[Any], wanted: list[Any]) -> None:
    arrays = [np.asarray(keras.ops.convert_to_numpy(one)) for one in outputs]
    for array, reference in zip(arrays, wanted, strict=True):
        signal, noise = squares_of(np.asarray(keras.ops.convert_to_numpy(reference)), array)
        outcome.signal += signal
        outcome.noise += noise
    outcome.loss += len(arrays[0]) * float(judge.loss(labels, outputs))
    if judge.task.metric is not None:
        outcome.predictions.append(arrays)


def squares_of(reference: np.ndarray, array: np.ndarray) -> tuple[float, float]:
    """The sum of the squares of an array, and of those of another one's differences from it."""
    reference = reference.astype("float64")
    return float(np.sum(reference**2)), float(np.sum((array - reference) ** 2))
