"""Where float regions begin and end: a boundary before each tensor that one reads, and behind each that it writes."""

from collections import Counter
from collections.abc import Iterator

import keras

from tfopt.graph import Graph, Node
from tfopt.kernels import FloatBoundary, stays_float


class FloatRegions:
    """Makes a `FloatBoundary` for each rounded tensor that a float region reads, and for each that it writes."""

    def __init__(self, graph: Graph, rounded: dict[int, keras.KerasTensor]) -> None:
        self.graph = graph
        self.rounded = rounded
        self.values: dict[int, keras.KerasTensor] = {}
        self.names: Counter[str] = Counter()

    def before(self, node: Node) -> Iterator[Node]:
        """The new nodes that must stand before `node`."""
        if not stays_float(node):
            return
        for tensor in node.inputs:
            if id(tensor) not in self.values and "float" in tensor.dtype and not self._in_float(tensor):
                boundary = self._boundary(node, "enter", self.rounded.get(id(tensor), tensor))
                self.values[id(tensor)] = boundary.output
                yield boundary

    def behind(self, node: Node, added: list[Node]) -> Iterator[Node]:
        """The nodes that round an output of `node`, with what must stand before them."""
        if stays_float(node):
            first, *added = added
            site = first.inputs[0]
            boundary = self._boundary(node, "leave", site)
            yield boundary
            yield first.reading({id(site): boundary.output})
        yield from added

    def _boundary(self, node: Node, what: str, source: keras.KerasTensor) -> Node:
        name = f"{node.op.name}_{what}"
        self.names[name] += 1
        name += f"_{self.names[name] - 1}" if self.names[name] > 1 else ""
        output = keras.KerasTensor(source.shape, source.dtype)
        return Node(FloatBoundary(name=name), (source,), {}, output, name)

    def _in_float(self, tensor: keras.KerasTensor) -> bool:
        """Whether another float operation hands the tensor on without rounding it."""
        producer = self.graph.producers.get(id(tensor))
        return producer is not None and stays_float(producer) and id(tensor) not in self.rounded
