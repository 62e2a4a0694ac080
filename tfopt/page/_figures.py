"""How figures of the reports are written."""

from collections.abc import Mapping
from typing import Any


def metric_text(value: float | None, metric: str) -> str:
    """A metric: a part as a percentage, anything else as a number.

    >>> metric_text(0.9345, "accuracy"), metric_text(0.9345, "mse"), metric_text(None, "mse")
    ('93.45%', '0.9345', '-')
    """
    if value is None:
        return "-"
    return f"{value:.2%}" if is_part(metric) else f"{value:.4g}"


def is_part(metric: str) -> bool:
    """Whether a metric counts a part of all samples, of 1."""
    return "acc" in metric.lower() or metric == "agreement"


def latency_text(value: float | None) -> str:
    """A latency.

    >>> latency_text(1.234), latency_text(0.01234), latency_text(None)
    ('1.23 ms', '12.3 µs', '-')
    """
    if value is None:
        return "-"
    return f"{value:.3g} ms" if value >= 0.1 else f"{1000 * value:.3g} µs"


def times(before: float, after: float, less: str, more: str) -> str:
    """How many times less, or more.

    >>> times(8, 2, "smaller", "larger"), times(2, 3, "smaller", "larger"), times(2, 2, "smaller", "larger")
    ('4 times smaller', '1.5 times larger', 'the same')
    """
    if not before or not after:
        return "the same"
    text = f"{max(before / after, after / before):.3g}"
    return "the same" if text == "1" else f"{text} times {less if before > after else more}"


def memory(row: Mapping[str, Any]) -> int | None:
    """Bytes of memory that a compared model needs: its arena, else its activations alive at once."""
    return row["arena_bytes"] or row["peak_activation_bytes"]


def dimensions(shape: Any) -> str:
    """A shape.

    >>> dimensions([1, 8, 8, 3])
    '1 × 8 × 8 × 3'
    """
    return " × ".join(map(str, shape))
