"""The process of `try_file`: runs a file once on zeros. Needs neither Keras nor TensorFlow."""

import sys
from typing import Any

import numpy as np

# Bytes of address space that a trial may take; and the exit code of one that wants more.
MEMORY, TOO_MUCH = 4 << 30, 77


def main(path: str, runtime: str) -> None:
    """Runs a file, in a process whose memory is limited."""
    _limit_memory()
    try:
        (_tflite_micro if runtime == "tflm" else _litert)(path, runtime)
    except MemoryError:
        sys.exit(TOO_MUCH)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


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
