"""What is read, and what the model wants of it."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Samples:
    """Inputs with their labels.

    Attributes:
        x: inputs, samples first: an array, or a dict of arrays by the name of the input.
        y: labels; None where there are none.
        pixels: whether inputs are bytes of images, 0 to 255, that a model may want in another range.
        classes: the names of the classes, in the order of their numbers; empty where labels are numbers already.
        notes: what was decided on the way, in sentences.
        held_out: `(x, y)` that the source itself keeps for validation, or None.

    >>> len(Samples(np.zeros((3, 4))))
    3
    """

    x: Any
    y: np.ndarray | None = None
    pixels: bool = False
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    held_out: tuple[Any, Any] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.x.values())) if isinstance(self.x, dict) else self.x)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the reader is to bring: the model's inputs, and the names that the user gives.

    Attributes:
        shapes: the shape of one sample by the name of the input, None for open dimensions; empty without a model.
        inputs: array, column or feature of the inputs; None for the usual names.
        labels: the same of the labels.

    >>> Wanted({"image": (28, 28, 1)}).shape
    (28, 28, 1)
    """

    shapes: dict[str, tuple[int | None, ...]] = dataclasses.field(default_factory=dict)
    inputs: str | None = None
    labels: str | None = None

    @classmethod
    def of(
        cls, model: "keras.Model | None", inputs: str | None = None, labels: str | None = None
    ) -> "Wanted":
        """What a model wants; without one, anything."""
        tensors = getattr(model, "inputs", None) or ()
        return cls({tensor.name: tuple(tensor.shape[1:]) for tensor in tensors}, inputs, labels)

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """The shape of one sample of the only input; None where there are several, or no model."""
        return next(iter(self.shapes.values())) if len(self.shapes) == 1 else None


def fitted(samples: Samples, wanted: Wanted, source: str) -> Samples:
    """The samples in the shape that the model wants: with an axis of channels, or unrolled.

    Args:
        samples: as they were read.
        wanted: what the model wants.
        source: its name in messages.

    Raises:
        ValueError: they do not fit.

    >>> samples = fitted(Samples(np.zeros((2, 28, 28))), Wanted({"image": (28, 28, 1)}), "mnist")
    >>> samples.x.shape
    (2, 28, 28, 1)
    """
    if wanted.shape is None or isinstance(samples.x, dict):
        return samples
    change = _shape_for(samples.x, wanted.shape, source)
    if change == samples.x.shape:
        return samples
    held_out = samples.held_out
    if held_out is not None:
        held_out = (held_out[0].reshape(_shape_for(held_out[0], wanted.shape, source)), held_out[1])
    words = " × ".join(map(str, samples.x.shape[1:]))
    notes = (*samples.notes, f"Samples of {words} were brought to {' × '.join(map(str, change[1:]))}.")
    return dataclasses.replace(samples, x=samples.x.reshape(change), held_out=held_out, notes=notes)


def _shape_for(x: np.ndarray, shape: tuple[int | None, ...], source: str) -> tuple[int, ...]:
    """The shape of all samples, of the same values, that the model takes."""
    own = x.shape[1:]
    if len(own) == len(shape) and all(want in (None, have) for want, have in zip(shape, own, strict=True)):
        return x.shape
    if None not in shape and math.prod(own) == math.prod(shape):  # type: ignore[arg-type]
        return (len(x), *shape)  # type: ignore[return-value, arg-type]
    if shape[-1:] == (1,) and len(own) == len(shape) - 1 and None in shape:
        return _shape_for(x[..., None], shape, source)
    wanted, got = (
        " × ".join("?" if size is None else str(size) for size in one) or "single numbers"
        for one in (shape, own)
    )
    raise ValueError(f"The data must hold samples of {wanted}, as the model takes. Got {got} in {source!r}.")
