"""What runs on the emulated processor: LiteRT on every .tflite file of a folder, from inputs in .npz files.

    python inside.py FOLDER SUFFIX

`NAME.tflite` and `NAME.npz`, which holds an array `(samples, ...)` for each input by its tensor's number, give
`NAME.SUFFIX.npz` with the outputs in the same form. It needs NumPy and LiteRT alone.
"""

import sys
from pathlib import Path

import numpy as np


def outputs_of(content: bytes, inputs: dict[int, np.ndarray]) -> tuple[dict[str, np.ndarray], bool]:
    """The outputs by the numbers of their tensors, and whether the XNNPACK delegate took any operator."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    delegated = any(op["op_name"] == "DELEGATE" for op in interpreter._get_ops_details())
    details = interpreter.get_output_details()
    parts: dict[str, list[np.ndarray]] = {str(detail["index"]): [] for detail in details}
    for sample in range(len(next(iter(inputs.values())))):
        for index, array in inputs.items():
            interpreter.set_tensor(index, array[sample : sample + 1])
        interpreter.invoke()
        for detail in details:
            parts[str(detail["index"])].append(interpreter.get_tensor(detail["index"]))
    return {index: np.concatenate(arrays) for index, arrays in parts.items()}, delegated


if __name__ == "__main__":
    folder, suffix = Path(sys.argv[1]), sys.argv[2]
    for file in sorted(folder.glob("*.tflite")):
        stored = np.load(file.with_suffix(".npz"))
        arrays, by_xnnpack = outputs_of(
            file.read_bytes(), {int(index): stored[index] for index in stored.files}
        )
        np.savez(file.with_suffix(f".{suffix}.npz"), delegated=by_xnnpack, **arrays)
