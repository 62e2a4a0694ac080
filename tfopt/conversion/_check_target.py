"""Whether the runtime of a target can load a file."""

from tfopt.kernels import TARGETS
from tfopt.runtimes import Operator, TFLiteFile

# The name of the file's metadata entry that holds the target; a file for LiteRT has none.
TARGET_ENTRY = "tfopt.target"


def check_target(file: TFLiteFile, target: str, model: str) -> None:
    """Raises ValueError if a file holds operators that the runtime of its target lacks.

    Args:
        file: what is to be written.
        target: a key of `TARGETS`.
        model: the model's name, for the message.
    """
    row = TARGETS[target]
    lacking = [op for op in file.operators if op.name in row.absent or (op.is_custom and row.absent)]
    if lacking:
        found = "; ".join(dict.fromkeys(f"{op.name} of {_layer(op)!r}" for op in lacking))
        raise ValueError(
            f"The file of {model!r} must hold operators of its target {target!r} alone, and {row.title} has no kernel "
            f"for: {found}. Nothing was written. Replace these layers, which tfopt.check(model, {target!r}) lists "
            "before any training, or quantize for another target."
        )


def _layer(op: Operator) -> str:
    """The layer that an operator comes from: the converter names tensors by the path of the Keras layer."""
    name = op.outputs[0].name if op.outputs else ""
    parts = [part for part in name.split(";")[0].split("/") if part]
    return parts[-2] if len(parts) > 1 else name
