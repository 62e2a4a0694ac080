"""What is in a Keras model or a SavedModel, as a table: the counterpart of `tfopt.runtimes.inspect`."""

import contextlib
import dataclasses
import io
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfopt._quiet import quiet
from tfopt._report import Report, Table
from tfopt._text import format_bytes, percent
from tfopt._text_graph import Step, text_graph
from tfopt.graph import Node, Tensor, capture, kind, tensors_in
from tfopt.kernels import IntegerActivations
from tfopt.runtimes import InspectReport, inspect


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One call of a layer or operation.

    Attributes:
        path: where it stands in the model.
        kind: what it is, as in `tfopt.graph.kind`.
        shape: shape of its first output; None where it is open.
        params: numbers in its weights; those of a shared layer count in the first row.
        bytes: bytes of its weights.
        sparsity: zeros as a fraction of its kernels' values; None without a kernel.
        bits: bits of the codes of its weights or, of a `FakeQuantize`, of activations; None in float.
        scale: the step between two codes of its output; None where it does not round one.
        reads: the tensors that it reads, as numbers.
        writes: the tensors that it makes.
    """

    path: str
    kind: str
    shape: tuple[int | None, ...]
    params: int
    bytes: int
    sparsity: float | None
    bits: int | None
    scale: float | None
    reads: tuple[str, ...]
    writes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ModelReport(Report):
    """What `inspect_model` found; prints as a table.

    Attributes:
        name: the model's name.
        layers: one row for each call, in an order in which they can run.
        params: numbers in all weights.
        bytes: bytes of all weights.
        inputs: names of its inputs, by the numbers of their tensors.
        outputs: the tensors that it returns.
    """

    name: str
    layers: tuple[LayerRow, ...]
    params: int
    bytes: int
    inputs: dict[str, str]
    outputs: tuple[str, ...]

    def table(self) -> Table:
        """One row for each call; totals in the notes."""
        rows = tuple(
            (
                row.path,
                row.kind,
                _shape(row.shape),
                f"{row.params:,}" if row.params else "-",
                percent(row.bytes / self.bytes) if row.bytes else "-",
                "-" if row.sparsity is None else percent(row.sparsity),
                "-" if row.bits is None else str(row.bits),
                "-" if row.scale is None else f"{row.scale:.3g}",
            )
            for row in self.layers
        )
        columns = ("layer", "kind", "output", "params", "share", "zeros", "bits", "step")
        notes = (
            f"{self.params:,} parameters, {format_bytes(self.bytes)} of weights; share: of these bytes. zeros: of "
            "kernels. A step is that of a rounded output.",
        )
        return Table(f"Layers of {self.name}", columns, rows, notes)

    def graph(self, width: int = 80) -> str:
        """The calls as a graph of text, see `tfopt._text_graph`."""
        steps = [Step(name, (), (number,)) for number, name in self.inputs.items()]
        for row in self.layers:
            words = f"{row.path}: {row.kind} {_shape(row.shape)}"
            if row.params:
                words += f", {row.params:,} parameters"
            steps.append(Step(words, row.reads, row.writes))
        return text_graph(steps, self.outputs, width)


def inspect_model(model: keras.Model) -> ModelReport:
    """Lists the layers of a Keras model, nested ones opened, with shapes, parameters, zeros, bits and steps.

    Args:
        model: a built Keras model, what `quantize` returned too.

    Raises:
        ValueError: the model is not built, or is no graph of layers.

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="dense")], name="net")
    >>> print(inspect_model(model))
    Layers of net
    layer  kind   output  params  share  zeros  bits  step
    dense  Dense     ?×3      15   100%     0%     -     -
    15 parameters, 60 B of weights; share: of these bytes. zeros: of kernels. A step
    is that of a rounded output.
    """
    graph = capture(model)
    numbers: dict[int, str] = {}

    def names(tensors: Iterable[Tensor]) -> tuple[str, ...]:
        return tuple(numbers.setdefault(id(tensor), str(len(numbers))) for tensor in tensors)

    inputs = {name: tensor.name for tensor in tensors_in(graph.inputs) for name in names([tensor])}
    seen: set[int] = set()
    rows = tuple(
        _row(node, seen, names(node.inputs), names(tensors_in(node.outputs))) for node in graph.nodes
    )
    return ModelReport(
        name=model.name,
        layers=rows,
        params=sum(row.params for row in rows),
        bytes=sum(row.bytes for row in rows),
        inputs=inputs,
        outputs=names(tensors_in(graph.outputs)),
    )


def _row(node: Node, seen: set[int], reads: tuple[str, ...], writes: tuple[str, ...]) -> LayerRow:
    variables = [one for one in getattr(node.op, "weights", ()) if id(one) not in seen]
    seen.update(map(id, variables))
    kernels = [one for one in variables if len(one.shape) > 1]
    values = sum(int(np.prod(one.shape)) for one in kernels)
    zeros = sum(int(np.count_nonzero(keras.ops.convert_to_numpy(one) == 0)) for one in kernels)
    made = tensors_in(node.outputs)
    rounds = isinstance(node.op, IntegerActivations)
    return LayerRow(
        path=node.path,
        kind=kind(node.op),
        shape=tuple(made[0].shape) if made else (),
        params=sum(int(np.prod(one.shape)) for one in variables),
        bytes=sum(_bytes(one) for one in variables),
        sparsity=zeros / values if values else None,
        bits=node.op.num_bits if rounds else getattr(node.op, "weight_bits", None),
        scale=float(node.op.grid()[0]) if rounds else None,  # type: ignore[attr-defined]
        reads=reads,
        writes=writes,
    )


def _bytes(variable: Any) -> int:
    return int(np.prod(variable.shape)) * keras.ops.convert_to_numpy(variable).itemsize


def _shape(shape: tuple[int | None, ...]) -> str:
    return "×".join("?" if size is None else str(size) for size in shape) or "scalar"


def inspect_saved_model(folder: str | os.PathLike) -> InspectReport:
    """Lists the operators that a SavedModel has as a .tflite file: it holds functions, and need not hold layers.

    TensorFlow's converter makes a file of it in memory; operators that LiteRT has no kernel for are custom there.

    Args:
        folder: the folder of the SavedModel.

    Raises:
        ValueError: the folder holds no SavedModel, or the converter refuses it.
    """
    if not (Path(folder) / "saved_model.pb").is_file():
        raise ValueError(
            f"The folder must be that of a SavedModel, with a saved_model.pb. Got {str(folder)!r} instead."
        )
    import tensorflow as tf

    try:
        with quiet(1, 2), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            converter = tf.lite.TFLiteConverter.from_saved_model(os.fspath(folder))
            converter.target_spec.supported_ops = [
                tf.lite.OpsSet.TFLITE_BUILTINS,
                tf.lite.OpsSet.SELECT_TF_OPS,
            ]
            content = converter.convert()
    except Exception as error:  # why all: it fails as RuntimeError, ValueError, ConverterError, ...
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"The SavedModel in {str(folder)!r} cannot be converted: {first}") from error
    return dataclasses.replace(inspect(content), path=os.fspath(folder))
