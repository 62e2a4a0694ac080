"""What a file takes of budgets."""

import os
import tempfile
from collections.abc import Mapping, Sequence

import keras

from tfopt._export_from import export
from tfopt.budgets._budgets import BUDGETS, Written
from tfopt.budgets._report import Point
from tfopt.budgets._shapes import Shape, kernel_sizes


def measure_model(model: keras.Model, q: keras.Model, point: Point, names: Sequence[str]) -> dict[str, float]:
    """What the file of a point takes of some budgets; it is written, measured and thrown away.

    Args:
        model: the whole float model.
        q: the quantized model of the point.
        point: the point.
        names: the budgets.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.tflite")
        export(q, path, compress=point.compress)
        bits = {one.path: one.bits for one in point.layers}
        return measure_file(
            model,
            path,
            names,
            target=point.target,
            channels=point.channels,
            ranks=point.ranks,
            bits=bits,
        )


def measure_file(
    model: keras.Model,
    path: str | os.PathLike,
    names: Sequence[str],
    *,
    target: str,
    channels: Mapping[str, float],
    ranks: Mapping[str, float],
    bits: Mapping[str, int],
) -> dict[str, float]:
    """What a file takes of some budgets.

    Args:
        model: the whole float model that it was made from.
        path: the file.
        names: of budgets.
        target: the runtime.
        channels: parts of the channels that are left, by the layers that make them.
        ranks: parts of the ranks that are left, by layers.
        bits: of the weights of layers, where they are not 8.

    Returns:
        The numbers by budget.

    >>> import keras, tempfile, tfopt
    >>> from tfopt.budgets import measure_file
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> path = tempfile.mkdtemp() + "/model.tflite"
    >>> report = tfopt.export(tfopt.quantize(model, [[0.0] * 8, [1.0] * 8]), path)
    >>> measure_file(model, path, ["macs", "mean_bits"], target="litert", channels={}, ranks={}, bits={})
    {'macs': 32, 'mean_bits': 8.0}
    """
    small = Shape(channels, ranks).make(model)
    sizes = {path: size for path, size in kernel_sizes(small).items() if size}
    mean = sum(size * bits.get(one, 8) for one, size in sizes.items()) / max(sum(sizes.values()), 1)
    written = Written(small, os.fspath(path), target, mean)
    return {name: BUDGETS[name].measure(written) for name in names}
