"""Layers that make numbers of text and keys: no kernel has them, and they run before the file."""

from tfopt.graph import Graph, Node, kind, tensors_in

_LOOKUPS = ("Hashing", "HashedCrossing", "IntegerLookup", "StringLookup", "TextVectorization")


def is_preprocessing(node: Node) -> bool:
    """Whether a node looks up, hashes or splits text or keys.

    >>> import keras
    >>> from tfopt.graph import capture
    >>> word = keras.Input((1,), dtype="string")
    >>> model = keras.Model(word, keras.layers.StringLookup(vocabulary=["a"])(word))
    >>> [is_preprocessing(node) for node in capture(model).nodes]
    [True]
    """
    return kind(node.op) in _LOOKUPS or any(tensor.dtype == "string" for tensor in node.inputs)


def refuse_preprocessing(graph: Graph) -> None:
    """Raises if a model begins with layers that no .tflite file can hold.

    Args:
        graph: a captured graph.

    Raises:
        ValueError: it does; with the code that cuts the model behind them.
    """
    before = [node for node in graph.nodes if is_preprocessing(node)]
    if not before:
        return
    names = ", ".join(f"{node.path!r} ({type(node.op).__name__})" for node in before)
    ends = [node for node in before if any(not is_preprocessing(one) for one in _readers(graph, node))]
    cuts = [f"model.get_layer({node.path!r}).output" for node in ends]
    for tensor in tensors_in(graph.inputs):
        if any(not is_preprocessing(one) for one in graph.consumers[id(tensor)]):
            cuts.append(f"model.get_layer({tensor.name!r}).output")
    cut = f"[{', '.join(cuts)}]"
    raise ValueError(
        f"A .tflite file cannot hold {names}: no runtime has kernels for text and keys. Run that part before the file, "
        f"and quantize or export what lies behind it: cut = {cut}; body = keras.Model(cut, model.outputs). Its samples "
        "are keras.Model(model.inputs, cut).predict(...)."
    )


def _readers(graph: Graph, node: Node) -> list[Node]:
    return [reader for tensor in tensors_in(node.outputs) for reader in graph.consumers[id(tensor)]]
