"""Evaluation: runs a graph node by node, with its own layers."""

from collections.abc import Sequence
from typing import Any

import keras

from tfopt.graph._graph import Graph, Tensor, substitute


class Evaluation(keras.Model):
    """A model that computes tensors of a graph, as in inference, with the graph's own layers, left as they are.

    What `build_model` makes has layers of its own, which take memory and the time to make them; this is for a look.
    What a layer assigns while it runs, such as the state of a recurrent one, is forgotten.

    Args:
        graph: what `capture` or a rewrite of it returned; its layers are built.
        tensors: which of its tensors a call returns, as a list; by default its outputs.

    Call arguments:
        inputs: arrays for the inputs of the graph: in their structure, in a flat list, or by name.
        training: as for every Keras layer; said here, for augmentation layers augment unless they are told not to.

    >>> import keras, numpy as np
    >>> from tfopt.graph import Evaluation, capture
    >>> inputs = keras.Input((2,))
    >>> graph = capture(keras.Model(inputs, keras.layers.ReLU()(keras.layers.Rescaling(2.0)(inputs))))
    >>> half, whole = Evaluation(graph, [node.output for node in graph.nodes])(np.array([[-1.0, 3.0]], "float32"))
    >>> np.array(half).tolist(), np.array(whole).tolist()
    ([[-2.0, 6.0]], [[0.0, 6.0]])
    """

    def __init__(self, graph: Graph, tensors: Sequence[Tensor] | None = None) -> None:
        super().__init__(name="evaluation", dtype="float32")
        self.graph = graph
        self.tensors = keras.tree.flatten(graph.outputs) if tensors is None else list(tensors)

    def call(self, inputs: Any, training: bool | None = False) -> list[Any]:
        places = keras.tree.flatten(self.graph.inputs)
        by_name = isinstance(inputs, dict) and {tensor.name for tensor in places} == set(inputs)
        arrays = [inputs[tensor.name] for tensor in places] if by_name else keras.tree.flatten(inputs)
        values = {
            id(tensor): keras.ops.convert_to_tensor(array, dtype=tensor.dtype)
            for tensor, array in zip(places, arrays, strict=True)
        }
        with keras.StatelessScope():
            for node in self.graph.nodes:
                if node.drops:  # called alone, it would act as in training
                    values[id(node.output)] = keras.ops.cast(values[id(node.inputs[0])], node.output.dtype)
                    continue
                # Keras notes the default True of preprocessing layers, and what follows one would train with it.
                how = {**node.kwargs, **({"training": False} if "training" in node.kwargs else {})}
                outputs = node.op(*substitute(node.args, values), **substitute(how, values))
                made = keras.tree.flatten(outputs)
                for value in made:
                    if getattr(value, "_keras_mask", None) is not None:
                        value._keras_mask = None  # those of a graph are arguments
                values.update(zip(map(id, keras.tree.flatten(node.outputs)), made, strict=True))
        return [values[id(tensor)] for tensor in self.tensors]
