"""Whether a compressed file computes what the plain one computes, asked of the runtime itself."""

from collections.abc import Collection, Iterator
from typing import cast

import numpy as np

from tfopt.compression._strip import renumber
from tfopt.conversion import Flatbuffer
from tfopt.runtimes import Arena, Runtime, Tensor, TFLiteFile, TFLiteMicro

SAMPLES = 2
# Decoders that run in one file.
DECODERS = 200


def prove_equal(plain: bytes, compressed: bytes, written: dict[int, list[int]]) -> tuple[Arena, Arena]:
    """Runs both files in TFLite Micro: each decoded kernel and every output must be equal to the last bit.

    Args:
        plain: the file as it was.
        compressed: the file to check.
        written: the tensors that decoders write in it for each constant of the plain file.

    Returns:
        The arena that TFLite Micro needs for each.

    Raises:
        ImportError: TFLite Micro is not installed.
        CannotRunError: it cannot run one of the files.
        RuntimeError: something differs.
    """
    # As it is with its constants inside the flatbuffer, where TFLite Micro looks for them.
    before, after = TFLiteMicro(Flatbuffer(plain).to_bytes()), TFLiteMicro(compressed)
    for inputs in random_inputs(before.file):
        for tensor, expected, got in zip(
            before.file.outputs, _outputs(before, inputs), _outputs(after, inputs), strict=True
        ):
            _check(f"the output {tensor.name!r}", expected, got)
    arenas = before.arena, after.arena
    del after
    constants = {
        t.index: t for op in before.file.operators if not op.subgraph for t in op.inputs if t is not None
    }
    plain_of = {copy: constants[number] for number, copies in written.items() for copy in copies}
    for part, copies in decoders_alone(compressed, plain_of):
        runtime = TFLiteMicro(part)
        runtime.invoke()
        for copy, tensor in zip(copies, runtime.file.outputs, strict=True):
            kernel = plain_of[copy]
            _check(f"the kernel {kernel.name!r}", kernel.data, runtime.tensor(tensor))
    return cast(tuple[Arena, Arena], arenas)  # an interpreter that keeps no tensors has one


def decoders_alone(content: bytes, written: Collection[int]) -> Iterator[tuple[bytes, list[int]]]:
    """Files of nothing but the decoders of a compressed one, whose outputs are what these write.

    TFLite Micro keeps no more than 1,024 tensors of a file beyond their use, so that many decoders make several files.

    Args:
        content: the compressed file.
        written: the numbers of the tensors that decoders write.

    Yields:
        A file, and which of the tensors its outputs are.
    """
    operators = Flatbuffer(content).graph.operators
    places = [
        at for at, op in enumerate(operators) if not set(written).isdisjoint(np.asarray(op.outputs).tolist())
    ]
    for part in (places[at : at + DECODERS] for at in range(0, len(places), DECODERS)):
        file = Flatbuffer(content)
        graph = file.graph
        graph.operators = [graph.operators[at] for at in part]
        outputs = [number for op in graph.operators for number in np.asarray(op.outputs).tolist()]
        read = [number for op in graph.operators for number in np.asarray(op.inputs).tolist()]
        kept = {number: at for at, number in enumerate(dict.fromkeys([*outputs, *read]))}
        graph.tensors = [graph.tensors[number] for number in kept]
        for op in graph.operators:
            op.inputs, op.outputs = (
                np.array([kept[number] for number in np.asarray(numbers).tolist()], "int32")
                for numbers in (op.inputs, op.outputs)
            )
        graph.inputs, graph.outputs = np.array([], "int32"), np.arange(len(outputs), dtype="int32")
        file.model.subgraphs = [graph]
        file.model.signatureDefs = file.model.metadata = None
        renumber(file)
        yield file.to_bytes(), outputs


def random_inputs(file: TFLiteFile) -> Iterator[list[np.ndarray]]:
    """Inputs of any code for 8 and 16 bits, and of 0 and 1 for whole numbers, which may be indices."""
    rng = np.random.default_rng(0)
    for _ in range(SAMPLES):
        yield [_random(rng, tensor) for tensor in file.inputs]


def _random(rng: np.random.Generator, tensor: Tensor) -> np.ndarray:
    if tensor.is_float:
        return rng.normal(size=tensor.shape).astype(tensor.dtype)
    if tensor.scales:
        limits = np.iinfo(tensor.dtype)
        return rng.integers(limits.min, limits.max, tensor.shape, tensor.dtype, endpoint=True)
    return rng.integers(0, 2, tensor.shape).astype(tensor.dtype)


def _outputs(runtime: Runtime, inputs: list[np.ndarray]) -> list[np.ndarray]:
    runtime.set_inputs(inputs)
    runtime.invoke()
    return [runtime.tensor(tensor) for tensor in runtime.file.outputs]


def _check(what: str, expected: np.ndarray | None, got: np.ndarray) -> None:
    if expected is None or expected.tobytes() != got.tobytes():
        raise RuntimeError(
            f"The compressed file must compute what the plain one computes, and {what} differs in TFLite Micro. "
            "Nothing was written. Please report it, with the file and the version of tflite-micro."
        )
