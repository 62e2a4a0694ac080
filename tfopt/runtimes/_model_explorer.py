"""Per-tensor parity in the format that Google's Model Explorer shows over the graph of a .tflite file."""

import json
import os
from collections.abc import Sequence
from typing import Any

from tfopt._files import check_parent, write_whole
from tfopt.runtimes._tensor_parity import TensorParity

# Steps up to which a node has a color: green, yellow, orange, red.
_COLORS = ((0, "#d9ead3"), (1, "#fff2cc"), (8, "#f9cb9c"), (2**31, "#ea9999"))


def overlay(tensors: Sequence[TensorParity], name: str) -> dict[str, Any]:
    """The node data of one graph; the keys are the names of the tensors that its nodes write.

    The format is `GraphNodeData` of Model Explorer's `node_data_builder.py`; without the name of a graph at the top
    it belongs to the graph that is shown.

    Args:
        tensors: what was compared.
        name: what Model Explorer calls the overlay.

    Example:

    >>> one = TensorParity("xnnpack", "conv", "CONV_2D", "net/conv/Relu", 0.5, 64, 16, 0.75, 2)
    >>> overlay([one], "steps")["results"]
    {'net/conv/Relu': {'value': 2}}
    """
    return {
        "name": name,
        "results": {tensor.tensor: {"value": tensor.max_steps} for tensor in tensors},
        "thresholds": [{"value": steps, "bgColor": color} for steps, color in _COLORS],
    }


def write_overlay(tensors: Sequence[TensorParity], name: str, path: str | os.PathLike) -> None:
    """Writes `overlay` as a JSON file."""
    text = json.dumps(overlay(tensors, name), indent=2)
    write_whole(check_parent(path, "path"), text.encode())
