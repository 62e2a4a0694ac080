"""What the shapes of a model cost: counted, or foreseen from a measured table of files of its layers alone."""

import os
import tempfile
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from tfopt._export_from import export
from tfopt.budgets._budgets import BUDGETS, Written
from tfopt.graph import Node, build_model, capture, clone_operation, kind, substitute
from tfopt.quantization import QuantConfig, quantize

Cost = dict[str, float]


class LayerCosts:
    """Costs of float models by budget: those of their layers alone, each measured once for each width.

    A model's cost is the sum of its layers' (or the largest), and as much more as the whole model's differed from that:
    additions, activations, and what every file takes.

    Args:
        model: the whole model.
        names: budgets of shapes.
        target: the runtime.
    """

    def __init__(self, model: keras.Model, names: Iterable[str], target: str) -> None:
        self.model, self.target = model, target
        self.names = tuple(names)
        self.table: dict[tuple[Any, ...], Cost] = {}
        self.measured = tuple(name for name in self.names if BUDGETS[name].exact is None)
        self.combined = tuple(name for name in self.names if BUDGETS[name].combine is not None)
        self.rest = dict.fromkeys(self.measured, 0.0)
        if self.measured:
            whole, foreseen = self._of_file(model), self.of(model)
            self.rest = {name: whole[name] - foreseen[name] for name in self.measured}

    def of(self, model: keras.Model) -> Cost:
        """What a float model is foreseen to cost."""
        found: Cost = {}
        rows = (
            [self._row(node) for node in capture(model).nodes if _has_kernel(node)] if self.combined else []
        )
        for name in self.names:
            budget = BUDGETS[name]
            if budget.exact is not None:
                found[name] = float(budget.exact(model))
            elif budget.estimate is not None:
                found[name] = budget.estimate(model) + self.rest[name]
            else:
                found[name] = budget.combine(row[name] for row in rows) + self.rest[name]  # type: ignore[misc]
        return found

    def measure(self, model: keras.Model) -> Cost:
        """What a float model costs, by its own file where a budget is of one."""
        files = self._of_file(model) if self.measured else {}
        return {
            name: files[name] if name in files else float(BUDGETS[name].exact(model))  # type: ignore[misc]
            for name in self.names
        }

    def _row(self, node: Node) -> Cost:
        config = node.op.get_config() if hasattr(node.op, "get_config") else {}
        settings = {
            name: str(value) for name, value in config.items() if name not in ("name", "build_config")
        }
        weights = tuple(tuple(weight.shape) for weight in getattr(node.op, "weights", ()))
        shapes = tuple(tuple(tensor.shape) for tensor in node.inputs)
        key = (kind(node.op), tuple(sorted(settings.items())), weights, shapes)
        if key not in self.table:
            self.table[key] = self._of_file(alone(node))
        return self.table[key]

    def _of_file(self, model: keras.Model) -> Cost:
        """What the model's 8-bit file takes; of random inputs, as time and memory do not depend on ranges."""
        rng = np.random.default_rng(0)
        samples = [
            rng.uniform(0, 1, [4, *(size or 32 for size in tensor.shape[1:])]).astype(tensor.dtype)
            for tensor in model.inputs
        ]
        q = quantize(model, samples if len(samples) > 1 else samples[0], QuantConfig.for_target(self.target))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.tflite")
            export(q, path)
            return {
                name: float(BUDGETS[name].measure(Written(model, path, self.target)))
                for name in self.measured
            }


def _has_kernel(node: Node) -> bool:
    return any(len(weight.shape) > 1 for weight in getattr(node.op, "weights", ()))


def alone(node: Node) -> keras.Model:
    """A model of one layer, on inputs of the shapes that it has."""
    inputs = {id(tensor): keras.Input(tensor.shape[1:], dtype=tensor.dtype) for tensor in node.inputs}
    layer = clone_operation(node.op)
    outputs = layer(*substitute(node.args, inputs), **substitute(node.kwargs, inputs))
    return build_model(capture(keras.Model(list(inputs.values()), outputs)))
