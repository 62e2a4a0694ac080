"""Whether a compressed file computes what the plain one computes, asked of the runtime itself."""

from collections.abc import Iterator
from typing import cast

import numpy as np

from tfopt.runtimes import Arena, Runtime, Tensor, TFLiteFile, TFLiteMicro

SAMPLES = 2


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
    before, after = TFLiteMicro(plain), TFLiteMicro(compressed)
    for inputs in random_inputs(before.file):
        for tensor, expected, got in zip(
            before.file.outputs, _outputs(before, inputs), _outputs(after, inputs), strict=True
        ):
            _check(f"the output {tensor.name!r}", expected, got)
    arenas = before.arena, after.arena
    del after
    kept = TFLiteMicro(compressed, keep_tensors=True)
    kept.set_inputs(inputs)
    kept.invoke()
    constants = {
        t.index: t for op in before.file.operators if not op.subgraph for t in op.inputs if t is not None
    }
    decoded = {t.index: t for op in kept.file.operators if not op.subgraph for t in op.outputs}
    for number, copies in written.items():
        for copy in copies:
            _check(
                f"the kernel {constants[number].name!r}", constants[number].data, kept.tensor(decoded[copy])
            )
    return cast(tuple[Arena, Arena], arenas)  # an interpreter that keeps no tensors has one


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
