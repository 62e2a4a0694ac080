"""What calibration has seen."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class SeenInput:
    """An input over all calibration samples.

    Attributes:
        columns: smallest and largest value at each place of the last axis, shape (2, places); of no place where the
            input has one axis alone, or too many places.
        reach: largest absolute value of each sample.
    """

    columns: np.ndarray
    reach: np.ndarray


@dataclasses.dataclass(frozen=True)
class Observed:
    """The statistics of some tensors, and of the inputs.

    Attributes:
        ranges: float32, (tensors, 2): the ends of each range.
        squares: (tensors,): mean of the squared values.
        batches: how many batches were seen.
        inputs: one for each input.
    """

    ranges: np.ndarray
    squares: np.ndarray
    batches: int
    inputs: tuple[SeenInput, ...]


# More places are pixels or frequencies rather than quantities of their own.
_PLACES = 256


class InputStatistics:
    """Gathers `SeenInput` batch by batch."""

    def __init__(self) -> None:
        self._columns: list[np.ndarray] = []
        self._reach: list[list[np.ndarray]] = []

    def update(self, arrays: list[np.ndarray]) -> None:
        """Takes a batch: an array for each input, samples first."""
        columns = [_columns_of(array) for array in arrays]
        reach = [np.abs(array.reshape(len(array), -1).astype("float32")).max(axis=1) for array in arrays]
        if not self._reach:
            self._columns, self._reach = columns, [[one] for one in reach]
            return
        self._columns = [_joined(old, new) for old, new in zip(self._columns, columns, strict=True)]
        for held, one in zip(self._reach, reach, strict=True):
            held.append(one)

    def seen(self) -> tuple[SeenInput, ...]:
        """What was seen of each input."""
        pairs = zip(self._columns, self._reach, strict=True)
        return tuple(SeenInput(columns, np.concatenate(reach)) for columns, reach in pairs)


def _columns_of(array: np.ndarray) -> np.ndarray:
    if array.ndim < 2 or array.shape[-1] > _PLACES:
        return np.empty((2, 0))
    axes = tuple(range(array.ndim - 1))
    return np.stack([array.min(axis=axes), array.max(axis=axes)]).astype("float64")


def _joined(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    if old.shape != new.shape:
        return np.empty((2, 0))
    return np.stack([np.minimum(old[0], new[0]), np.maximum(old[1], new[1])])
