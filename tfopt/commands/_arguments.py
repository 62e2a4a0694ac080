"""What commands read from the command line besides flags."""

from pathlib import Path

import numpy as np


def take(arguments: list[str], *names: str) -> list[str]:
    """The positional arguments, if there is one per name; else an error that shows the names."""
    if len(arguments) != len(names):
        raise ValueError(f"Expected {' '.join(names)}. Got {' '.join(arguments) or 'nothing'} instead.")
    return arguments


def load_samples(path: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Inputs and, where there are any, targets, from a .npz file with arrays `x` and `y`, or a .npy file of inputs.

    Args:
        path: the file.

    Returns:
        `(x, y)`; y is None where the file has none.

    Raises:
        ValueError: there is no such file, or it has no array `x`.
    """
    if not Path(path).is_file():
        raise ValueError(f"The '--data' flag must name a .npz or .npy file. There is no file {path!r}.")
    content = np.load(path)
    if isinstance(content, np.ndarray):
        return content, None
    if "x" not in content:
        raise ValueError(
            f"The '--data' flag must name a .npz file with arrays 'x' and 'y'. Got {path!r} with "
            f"{', '.join(content) or 'no arrays'}. Write it with numpy.savez(path, x=inputs, y=targets)."
        )
    return content["x"], content.get("y")
