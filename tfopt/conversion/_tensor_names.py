"""Names of the tensors in a file: those of the user's layers, once."""

import re
from collections.abc import Sequence
from typing import Any

import keras

from tfopt.conversion._flatbuffer import Flatbuffer
from tfopt.conversion._names import free_name
from tfopt.graph import flatten_layers


def shorten_names(file: Flatbuffer, inference: keras.Model) -> None:
    """Names what lies between inputs and outputs after layers, without what the converter adds.

    It names a tensor after all operations that it fused into one, each with its whole path: one sixth of the file of a
    small network, which runtimes do not read. Inputs and outputs keep the names that programs ask for.

    Args:
        file: what the converter returned, changed in place.
        inference: the model that it converted.
    """
    layers = {layer.name for layer in flatten_layers(inference)}
    for graph in file.model.subgraphs:
        ends = {int(at) for at in (*graph.inputs, *graph.outputs)}
        taken = {graph.tensors[at].name.decode() for at in ends}
        inner = [tensor for at, tensor in enumerate(graph.tensors) if at not in ends and tensor.name]
        # Kernels choose first, and biases last, which the converter names after what they are added to.
        inner.sort(key=lambda tensor: (b";" in tensor.name) * (1 + _is_constant(file, tensor)))
        lists = short_names([tensor.name.decode().split(";") for tensor in inner], inference.name, layers)
        for tensor, names in zip(inner, lists, strict=True):
            name = free_name(names, taken)
            taken.add(name)
            tensor.name = name.encode()
    file.changed = True


def short_names(lists: Sequence[Sequence[str]], model: str, layers: set[str]) -> list[list[str]]:
    """Paths of operations, from the user's layers on.

    Args:
        lists: for each tensor the paths of its operations.
        model: the name of the model, on which paths begin.
        layers: names of layers. TensorFlow puts a number behind each, for Keras enters a layer's scope twice.

    >>> short_names([["net_1/conv_1/Relu", "net_1/conv_1/BiasAdd"], ["net_1/conv_1_2/Sum"]], "net", {"conv", "conv_1"})
    [['conv/Relu', 'conv/BiasAdd'], ['conv_1/Sum']]
    >>> short_names([["net/conv/Relu"], ["net/conv_1/Relu"]], "net", {"conv", "conv_1"})
    [['conv/Relu'], ['conv_1/Relu']]
    """
    paths = [[_path(name, model) for name in names] for names in lists]
    parts = {part for names in paths for *path, _ in names for part in path}  # the last is an operation
    is_numbered = not any(
        part in layers and (_bare(part) == part or _bare(part) not in layers) for part in parts
    )
    bare = {part: _bare(part) for part in parts if _bare(part) in layers} if is_numbered else {}
    return [
        ["/".join((*(bare.get(part, part) for part in path), last)) for *path, last in names]
        for names in paths
    ]


def _path(name: str, model: str) -> list[str]:
    first, *others = name.split("/")
    return others if others and model in (first, _bare(first)) else [first, *others]


def _bare(part: str) -> str:
    return re.sub(r"_\d+$", "", part)


def _is_constant(file: Flatbuffer, tensor: Any) -> bool:
    return file.model.buffers[tensor.buffer].data is not None
