"""One method on one task, in the environment of its contender.

    python -m tests.benchmarks.peers.run MODULE KERAS METHOD TASK_FOLDER OUTPUT_FOLDER SEED

KERAS is the Keras that the contender works with, `-` for none.

Leaves `model.tflite`, `trained.npz` (what the trained model gives for the test inputs) and, last, `result.json`:
CPU seconds, the largest memory, the lines that a user writes, versions, or the error that it ended with.
"""

import importlib
import importlib.metadata
import inspect
import json
import sys
import time
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tests.benchmarks.peers.work import Work, load

# Packages that make a difference -> what is imported of them.
PACKAGES = {
    "tfopt": "tfopt",
    "tensorflow": "tensorflow",
    "keras": "keras",
    "tf-keras": "tf_keras",
    "tensorflow-model-optimization": "tensorflow_model_optimization",
    "model-compression-toolkit": "model_compression_toolkit",
    "ai-edge-quantizer": "ai_edge_quantizer",
    "torch": "torch",
    "torchao": "torchao",
    "torch-pruning": "torch_pruning",
    "litert-torch": "litert_torch",
}


def largest_memory() -> int:
    """Bytes that this process has held at most: the kernel's own mark, as `getrusage` counts a parent's too."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def versions() -> dict[str, str]:
    """Of the packages that were used."""
    return {name: importlib.metadata.version(name) for name, used in PACKAGES.items() if used in sys.modules}


def lines_of(module: ModuleType, method: Any) -> int:
    """Lines of the method and of the functions of its module that it calls, without what only names it."""
    seen: dict[str, Any] = {}
    waiting = [method]
    while waiting:
        function = waiting.pop()
        if function.__name__ in seen:
            continue
        seen[function.__name__] = function
        named = (getattr(module, name, None) for name in function.__code__.co_names)
        waiting += [
            thing for thing in named if inspect.isfunction(thing) and thing.__module__ == module.__name__
        ]
    return sum(
        bool(line.strip())
        for function in seen.values()
        for line in inspect.getsource(function).splitlines()[1:]
    )


def _leaves(outputs: Any) -> list[np.ndarray]:
    """The arrays in what `predict` gives."""
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    return outputs if isinstance(outputs, list) else [outputs]


def attempt(module: ModuleType, name: str, work: Work) -> dict[str, Any]:
    """Run the method; a failure is a result."""
    method = module.METHODS[name]
    start = time.process_time()
    try:
        trained = method(work)
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
    seconds = time.process_time() - start
    if trained is not None:
        first, *others = _leaves(trained.predict(work.x_test, verbose=0))
        np.savez(work.folder / "trained.npz", *others, outputs=first)
    return {"cpu_seconds": seconds, "lines": lines_of(module, method)}


def main(module: str, keras: str, method: str, task: str, folder: str, seed: str) -> None:
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    contender = importlib.import_module(f"tests.benchmarks.peers.contenders.{module}")
    library = importlib.import_module(keras) if keras != "-" else None
    work = load(Path(task), library, out, int(seed))
    result = attempt(contender, method, work)
    result |= {
        "peak_bytes": largest_memory(),
        "versions": versions(),
    }
    (out / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
