"""The numbers that bytes of images become: a model says nowhere what it was trained on, but it shows."""

from typing import Any

import numpy as np

# As they are; and what most programs and `keras.applications` make of bytes.
IMAGE_RANGES = ((0.0, 255.0), (0.0, 1.0), (-1.0, 1.0))
_LOOKED_AT = 256


def to_range(x: np.ndarray, image_range: tuple[float, float]) -> np.ndarray:
    """Bytes as numbers of a range, in float32.

    Args:
        x: values from 0 to 255.
        image_range: what 0 and 255 become.

    >>> to_range(np.array([0, 51, 255], "uint8"), (0.0, 1.0)).tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    low, high = image_range
    if (low, high) == (0, 255):
        return x.astype("float32")
    return (x.astype("float32") / np.float32(255)) * np.float32(high - low) + np.float32(low)


def choose_image_range(model: Any, x: np.ndarray, y: np.ndarray | None) -> tuple[tuple[float, float], str]:
    """The range in which a model recognizes most images, and why it was chosen.

    Args:
        model: the trained model.
        x: bytes of images.
        y: their labels; None where there are none.

    Returns:
        The range, and a sentence about it.
    """
    chosen = _without_labels(model)
    part = np.linspace(0, len(x) - 1, min(len(x), _LOOKED_AT)).astype(int)
    scores = (
        {} if y is None else {one: _score(model, to_range(x[part], one), y[part]) for one in IMAGE_RANGES}
    )
    if not scores or None in scores.values():
        said = "a layer of the model scales them" if chosen == (0.0, 255.0) else "no labels tell more"
        return chosen, f"Bytes of images became {_text(chosen)}: {said}."
    best = max(scores, key=lambda one: (scores[one], one == chosen))
    others = ", ".join(f"{scores[one]:.0%} in {_text(one)}" for one in IMAGE_RANGES if one != best)
    return best, (
        f"Bytes of images became {_text(best)}: the model recognizes {scores[best]:.0%} of {len(part)} there, "
        f"{others}."
    )


def _without_labels(model: Any) -> tuple[float, float]:
    scales = any(type(layer).__name__ in ("Rescaling", "Normalization") for layer in model.layers)
    return IMAGE_RANGES[0] if scales else IMAGE_RANGES[1]


def _score(model: Any, x: np.ndarray, y: np.ndarray) -> float | None:
    """The fraction of images whose class a model recognizes; None where outputs are no classes."""
    outputs = model.predict(x, verbose=0)
    if not isinstance(outputs, np.ndarray) or outputs.ndim != 2 or outputs.shape[1] < 2:
        return None
    labels = y.argmax(axis=1) if y.shape == outputs.shape else y.reshape(len(y), -1)
    return float(np.mean(outputs.argmax(axis=1) == labels.reshape(-1))) if labels.size == len(y) else None


def _text(image_range: tuple[float, float]) -> str:
    return f"{image_range[0]:g} to {image_range[1]:g}"
