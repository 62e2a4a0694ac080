"""Whether a TPU takes what tfopt adds to a training step, and at which cost: compiled ahead of time, without a TPU.

pip install -e . 'jax[tpu]==0.10.2'
make tpu-check
python -m tests.tpu.check v6e       # only the tables whose title has that word

The TPU's own compiler, in the libtpu package, makes the executable for chips that share a batch. That proves that it
takes the step, that the memory suffices, and what it costs by the compiler's count; nothing runs. Each count stands
beside its ratio to the float step's, and to that of the float step and the teacher's forward pass together.
"""

import os

os.environ["KERAS_BACKEND"] = "jax"

import sys
from typing import Any

import jax
import keras
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tests.tpu.report import Cost, Table
from tests.tpu.steps import IMAGE, NETWORKS, STEPS, compile_model

BATCH = 256  # for each four chips

# Where, in which precision, and which rows beside the first two.
V5E = ("pruned", "quantized", "quantized, ranges still", "distilled", "all three")
TABLES = [
    ("few channels", "v5e:2x2", {}, "float32", V5E),
    ("ResNet8", "v5e:2x2", {}, "float32", V5E),
    ("ResNet8", "v5e:2x2", {}, "mixed_bfloat16", ("quantized", "all three")),
    ("ResNet8", "v5e:1x1", {"chips_per_host_bounds": [1, 1, 1]}, "float32", ("quantized", "all three")),
    ("ResNet8", "v6e:2x2", {}, "float32", ("quantized", "all three")),
]


class Chips:
    """A topology whose chips share a batch of images."""

    def __init__(self, topology: str, **options: Any) -> None:
        devices = topologies.get_topology_desc(platform="tpu", topology_name=topology, **options).devices
        self.batch = BATCH * len(devices) // 4
        mesh = Mesh(np.array(devices), ("data",))
        self.everywhere = NamedSharding(mesh, PartitionSpec())
        self.shared = NamedSharding(mesh, PartitionSpec("data"))

    def like(self, variables: list[keras.Variable]) -> list[jax.ShapeDtypeStruct]:
        """Their shapes and types, on each chip."""
        return [jax.ShapeDtypeStruct(one.shape, one.dtype, sharding=self.everywhere) for one in variables]

    def data(self, shape: tuple[int, ...], dtype: str) -> jax.ShapeDtypeStruct:
        """Samples of that shape, a part of them on each chip."""
        return jax.ShapeDtypeStruct((self.batch, *shape), dtype, sharding=self.shared)

    def step(self, model: keras.Model, callbacks: list[keras.callbacks.Callback]) -> Cost:
        """That of the model's own training step, as `fit` makes it on JAX, with Adam."""
        compile_model(model)
        begun = keras.callbacks.CallbackList(callbacks, model=model, epochs=1, steps=8)
        begun.on_train_begin()
        state = tuple(
            self.like(variables)
            for variables in (
                model.trainable_variables,
                model.non_trainable_variables,
                model.optimizer.variables,
                model.metrics_variables,
            )
        )
        step = jax.jit(lambda state, x, y: model.train_step(state, (x, y)), donate_argnums=0)
        cost = _compiled(step, state, self.data(IMAGE, "float32"), self.data((), "int32"))
        begun.on_train_end()
        # The first line lists what goes in; masks alone are of bools.
        if ("pred[" in cost.text.split("\n", 1)[0]) != bool(callbacks):
            raise SystemExit("A step must read masks if and only if it is pruned.")
        return cost

    def forward(self, model: keras.Model) -> Cost:
        """That of a forward pass in inference."""
        forward = jax.jit(
            lambda weights, other, x: model.stateless_call(weights, other, x, training=False)[0]
        )
        weights = self.like(model.trainable_variables), self.like(model.non_trainable_variables)
        return _compiled(forward, *weights, self.data(IMAGE, "float32"))


def _compiled(function: Any, *arguments: Any) -> Cost:
    made = function.lower(*arguments).compile()
    return Cost.of(made.cost_analysis(), made.memory_analysis(), made.as_text())


def main() -> None:
    """Compile each step, and print its cost beside that of the float step."""
    # An executable that never runs need not be fast: 30 s of compilation become 5.
    jax.config.update("jax_exec_time_optimization_effort", -1.0)
    for name, topology, options, policy, steps in TABLES:
        keras.config.set_dtype_policy(policy)
        network, chips = NETWORKS[name], Chips(topology, **options)
        title = f"JAX, {name}, {topology}, batch {chips.batch}, {policy}, per chip"
        if not all(word in title for word in sys.argv[1:]):
            continue
        table = Table(title)
        for step in ("float", *steps):
            keras.utils.set_random_seed(0)
            table.add(step, chips.step(*STEPS[step](network)))
            if step == "float":
                table.add("teacher's forward pass", chips.forward(network()))


if __name__ == "__main__":
    main()
