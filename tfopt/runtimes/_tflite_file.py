"""What is inside a .tflite file, read without running it."""

import dataclasses
import functools
import os
from collections import Counter
from typing import Any

from tfopt.runtimes._decoder import DECODER, decoded_kernels
from tfopt.runtimes._memory import peak_live_bytes
from tfopt.runtimes._schema import GRID_CHANGES, Operator, contents, parse
from tfopt.runtimes._size import read_bytes
from tfopt.runtimes._tensors import Tensor

# Which inputs of an operator are its kernel, if they are constant. Biases are not kernels: pruning leaves them alone.
KERNEL_INPUTS: dict[str, tuple[int, ...]] = {
    "BATCH_MATMUL": (0, 1),
    "CONV_2D": (1,),
    "CONV_3D": (1,),
    "CONV_3D_TRANSPOSE": (1,),
    "DEPTHWISE_CONV_2D": (1,),
    "EMBEDDING_LOOKUP": (1,),
    "FULLY_CONNECTED": (1,),
    "GATHER": (0,),
    "RNN": (1, 2),
    "SVDF": (1, 2),
    "TRANSPOSE_CONV": (1,),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": tuple(range(1, 9)),
    "UNIDIRECTIONAL_SEQUENCE_RNN": (1, 2),
}


@dataclasses.dataclass(frozen=True, eq=False)
class TFLiteFile:
    """The inputs, outputs, operators and weights of a .tflite file.

    Use it to check what an exported file really holds: that it has no float operator, that the weights have the
    bits asked for, that pruned kernels are sparse. Nothing is executed. The format is the flatbuffer schema of
    LiteRT (`schema.fbs`). Only what the file's first subgraph reaches counts as inputs, outputs and memory.

    Args:
        name: the path it was read from, for messages.
        content: all bytes of the file.
        inputs: input tensors in the file's order, named as in its signature.
        outputs: output tensors in the signature's order (that of the Keras model), named as in the signature.
        operators: all operators; those of loop bodies come after the network's own.
        signatures: names of the file's signatures, the first subgraph's first.

    Raises:
        ValueError: in `read`, there is no file or it is not a .tflite file.

    Example:

    >>> import keras, os, tempfile
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu")])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
    >>> model.export(path, format="litert", verbose=False)
    >>> file = TFLiteFile.read(path)
    >>> file.op_counts, file.inputs[0].shape, file.kernels[0].bits, file.peak_activation_bytes
    ({'FULLY_CONNECTED': 1}, (1, 4), 32, 28)
    """

    name: str
    content: bytes = dataclasses.field(repr=False)
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...] = dataclasses.field(repr=False)
    signatures: tuple[str, ...] = ()

    @classmethod
    def read(cls, source: "str | os.PathLike | bytes | TFLiteFile") -> "TFLiteFile":
        """Reads a path or the bytes of a file; a `TFLiteFile` comes back as it is."""
        if isinstance(source, TFLiteFile):
            return source
        content = read_bytes(source, "path")
        name = "<bytes>" if isinstance(source, bytes) else os.fspath(source)
        if content[4:8] != b"TFL3":
            raise ValueError(
                f"The 'path' argument must name a .tflite file. Got {name}, whose bytes 4 to 8 are {content[4:8]!r} "
                "instead of b'TFL3'. Export the model first, such as with tfopt.export(model, 'model.tflite')."
            )
        try:
            file = cls.of(parse(content), content, name)
            _ = file.kernels  # what is unpacked only when it is asked for may be damaged too
            return file
        except (
            Exception
        ) as error:  # why: a truncated flatbuffer fails as struct.error, IndexError, TypeError, ...
            raise damaged(name, error) from error

    @classmethod
    def of(cls, model: Any, content: bytes = b"", name: str = "<bytes>") -> "TFLiteFile":
        """The content of the schema's `ModelT`, if the bytes of the file are parsed already."""
        return cls(name, content, *contents(model))

    @property
    def batch_size(self) -> int:
        """Samples in one call: the first dimension of the first input; 1 where the file leaves it open."""
        return self.inputs[0].shape[0] if self.inputs and self.inputs[0].shape else 1

    @property
    def is_open(self) -> bool:
        """Whether an input has open dimensions, which are set before the file runs."""
        return any(tensor.open_dims for tensor in self.inputs)

    @property
    def has_state(self) -> bool:
        """Whether an operator keeps something from one call to the next, as an LSTM does."""
        return any(tensor.is_variable for op in self.operators for tensor in op.inputs if tensor is not None)

    @property
    def op_counts(self) -> dict[str, int]:
        """How often each operator occurs, most frequent first."""
        return dict(Counter(op.name for op in self.operators).most_common())

    @property
    def float_ops(self) -> tuple[Operator, ...]:
        """The operators that compute on floats. An integer file has none."""
        return tuple(op for op in self.operators if op.is_float)

    @property
    def flex_ops(self) -> tuple[Operator, ...]:
        """The operators that need TensorFlow's Flex delegate."""
        return tuple(op for op in self.operators if op.is_flex)

    @property
    def custom_ops(self) -> tuple[Operator, ...]:
        """The operators that are not built into LiteRT, the Flex ones included."""
        return tuple(op for op in self.operators if op.is_custom)

    @property
    def inner_grid_changes(self) -> tuple[Operator, ...]:
        """The QUANTIZE and DEQUANTIZE operators that are not at an input or output of the network."""
        return tuple(op for op in self.operators if op.name in GRID_CHANGES and not op.is_edge)

    @functools.cached_property
    def kernels(self) -> tuple[Tensor, ...]:
        """Every weight kernel once, in the order of use; biases are left out."""
        found = {kernel.buffer: kernel for op in reversed(self.operators) for kernel in self.kernels_of(op)}
        return tuple(reversed(found.values()))

    def kernels_of(self, op: Operator) -> tuple[Tensor, ...]:
        """The constant kernels that one operator multiplies with.

        Weight-only, float16, sparse and compressed files keep the kernel in front of a DEQUANTIZE, DENSIFY or
        TFLM_DECODE; that one is returned.
        """
        read = [op.inputs[at] for at in KERNEL_INPUTS.get(op.name, ()) if at < len(op.inputs)]
        stored = [
            self._stored.get((op.subgraph, tensor.index), tensor) for tensor in read if tensor is not None
        ]
        # Only with scales: a GATHER from a table of plain integers is indexing, not a weight.
        return tuple(t for t in stored if t.data is not None and t.size and (t.is_float or t.scales))

    @functools.cached_property
    def _stored(self) -> dict[tuple[int, int], Tensor]:
        """Constants by the (subgraph, number) of the tensor that a DEQUANTIZE, DENSIFY or TFLM_DECODE makes of them."""
        stored: dict[tuple[int, int], Tensor] = {}
        for op in self.operators:
            if op.name == DECODER:
                stored.update({(op.subgraph, kernel.index): kernel for kernel in decoded_kernels(op)})
            source = op.inputs[0] if op.name in ("DEQUANTIZE", "DENSIFY") else None
            if source is not None:
                source = stored.get((op.subgraph, source.index), source)
                if source.data is not None:
                    stored[op.subgraph, op.outputs[0].index] = _with_grid_of(source, op.outputs[0])
        return stored

    @property
    def weight_bits(self) -> dict[int, int]:
        """How many kernel values are stored in how many bits: `{8: 12_000, 4: 500}`."""
        bits: Counter[int] = Counter()
        for kernel in self.kernels:
            bits[kernel.bits] += kernel.size
        return dict(bits.most_common())

    @functools.cached_property
    def sparsity(self) -> float:
        """Zeros as a fraction of all kernel values, between 0 and 1."""
        total = sum(kernel.size for kernel in self.kernels)
        return sum(kernel.zeros for kernel in self.kernels) / total if total else 0.0

    @functools.cached_property
    def peak_activation_bytes(self) -> int:
        """Bytes of activations alive at once, at the batch size of the file; see `peak_live_bytes`.

        Kernels that a DENSIFY unpacks are weights, and do not count.
        """
        own = [op for op in self.operators if op.subgraph == 0]
        unpacked = {op.outputs[0].index for op in own if op.name == "DENSIFY"}
        steps = [([t for t in op.inputs if t is not None], op.outputs) for op in own]
        tensors = [*self.inputs, *self.outputs, *(t for reads, writes in steps for t in (*reads, *writes))]
        return peak_live_bytes(
            [([t.index for t in reads], [t.index for t in writes]) for reads, writes in steps],
            sizes={t.index: t.nbytes for t in tensors if t.data is None and t.index not in unpacked},
            inputs=[t.index for t in self.inputs],
            outputs=[t.index for t in self.outputs],
            always={t.index for t in tensors if t.is_variable},
        )


def _with_grid_of(kernel: Tensor, unpacked: Tensor) -> Tensor:
    """A kernel that is stored without a grid, with the grid of the tensor that a DENSIFY makes from it."""
    if kernel.scales or kernel.dtype != unpacked.dtype:
        return kernel
    return dataclasses.replace(
        kernel, scales=unpacked.scales, zero_points=unpacked.zero_points, axis=unpacked.axis
    )


def damaged(name: str, error: Exception) -> ValueError:
    """What to raise where a file's content makes no sense.

    >>> str(damaged("a.tflite", IndexError("list index out of range")))[-79:]
    'which is damaged (IndexError: list index out of range). Export the model again.'
    """
    return ValueError(
        f"The 'path' argument must name a whole .tflite file. Got {name}, which is damaged "
        f"({type(error).__name__}: {error}). Export the model again."
    )
