"""`make_student`: a narrower and shallower copy of a teacher, initialized with the teacher's weights."""

import keras
import numpy as np

from tfopt.graph import build_model, capture
from tfopt.shrinking._depth import ResidualBlock, residual_blocks, skip_blocks
from tfopt.shrinking._shrink import shrink


def make_student(
    teacher: keras.Model, width: float = 0.5, depth: float = 1.0, divisor: int = 8
) -> keras.Model:
    """A smaller copy of a teacher, with the teacher's own weights in the channels and blocks that are kept.

    Residual blocks are skipped evenly along the network (Veit et al. 2016, arXiv 1605.06431; taking every other layer
    of the teacher is how DistilBERT starts, Sanh et al. 2019, arXiv 1910.01108); in the remaining blocks, the channels
    of largest magnitude are kept. Train it with `Distiller(student, teacher)`.

    Args:
        teacher: a built Keras model of any form; it is not changed.
        width: part of the channels to keep in each layer, in (0, 1]; the number of parameters decreases roughly with
            its square.
        depth: part of the residual blocks `x + f(x)` to keep, in (0, 1]; the others become the identity. Blocks that
            change the shape cannot become the identity, and are always kept.
        divisor: channel counts are rounded to a multiple of it.

    Returns:
        A plain, uncompiled Keras model with the teacher's inputs and outputs.

    Raises:
        ValueError: `width` or `depth` is outside (0, 1], or `depth` is below 1 for a model without residual blocks.

    Example:

    >>> import keras, tfopt
    >>> layers = [keras.Input((8,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)]
    >>> teacher = keras.Sequential(layers)
    >>> teacher.count_params(), tfopt.make_student(teacher, width=0.25).count_params()
    (1226, 314)
    """
    for name, value in (("width", width), ("depth", depth)):
        if not 0.0 < value <= 1.0:
            raise ValueError(
                f"The '{name}' argument of make_student must be in (0, 1]: the part to keep. Got {value} instead. "
                "1.0 keeps all, 0.5 keeps half."
            )
    graph = capture(teacher)
    if depth < 1.0:
        blocks = residual_blocks(graph)
        if not blocks:
            raise ValueError(
                f"The 'depth' argument of make_student needs residual blocks x + f(x), and {teacher.name!r} has none. "
                "Got depth below 1. Pass only width."
            )
        graph = skip_blocks(graph, _skipped(blocks, depth))
    student = build_model(graph, name=f"{teacher.name}_student")
    return shrink(student, channels=width, divisor=divisor) if width < 1.0 else student


def _skipped(blocks: tuple[ResidualBlock, ...], depth: float) -> tuple[ResidualBlock, ...]:
    """The blocks to skip: all except `round(depth * n)`, which are spread evenly; the first one is kept."""
    keep = max(1, round(depth * len(blocks)))
    kept = set(np.linspace(0, len(blocks), keep, endpoint=False).astype(int).tolist())
    return tuple(block for index, block in enumerate(blocks) if index not in kept)
