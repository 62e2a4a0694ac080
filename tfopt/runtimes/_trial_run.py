"""The process of `try_file`: runs a file once on zeros. Needs neither Keras nor TensorFlow."""

import os
import sys
from typing import Any

import numpy as np

# The exit code of a trial that wants more memory than it may take.
TOO_MUCH = 77


def main(path: str, runtime: str, memory: str) -> None:
    """Runs a file, in a process whose memory is limited."""
    # A runtime keeps the file's bytes, and its kernels in the order in which they are computed with.
    _limit_memory(int(memory) + 3 * os.path.getsize(path))
    try:
        (_tflite_micro if runtime == "tflm" else _litert)(path, runtime)
    except MemoryError:
        sys.exit(TOO_MUCH)


def _limit_memory(most: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    if most < sys.maxsize:
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _litert(path: str, runtime: str) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolvers = {
        "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        "reference": OpResolverType.BUILTIN_REF,
    }
    interpreter = Interpreter(
        path, num_threads=1, experimental_op_resolver_type=resolvers.get(runtime, OpResolverType.AUTO)
    )
    interpreter.allocate_tensors()
    for given in interpreter.get_input_details():
        interpreter.set_tensor(given["index"], _zeros(given))
    interpreter.invoke()


def _tflite_micro(path: str, runtime: str) -> None:
    from tflite_micro.python.tflite_micro import runtime as micro

    interpreter = micro.Interpreter.from_file(path)
    inputs = 0
    while True:
        try:
            given = interpreter.get_input_details(inputs)
        except (IndexError, ValueError):
            break
        interpreter.set_input(_zeros(given), inputs)
        inputs += 1
    interpreter.invoke()


def _zeros(given: dict[str, Any]) -> np.ndarray:
    return np.zeros(given["shape"], given["dtype"])


if __name__ == "__main__":
    main(*sys.argv[1:])
