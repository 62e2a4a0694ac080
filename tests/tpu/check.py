"""Whether a TPU takes what tfopt adds to a training step, and at which cost: compiled ahead of time, without a TPU.

pip install -e . 'jax[tpu]==0.10.2'
make tpu-check

The TPU's own compiler, in the libtpu package, makes the executable for four v5e chips that share a batch. That proves
that it takes the step, that the memory suffices, and what it costs by the compiler's count; nothing runs.
"""

import os

os.environ.update(
    # What libtpu would ask a TPU's host for.
    TPU_SKIP_MDS_QUERY="1",
    TPU_ACCELERATOR_TYPE="v5litepod-4",
    TPU_WORKER_HOSTNAMES="localhost",
    TPU_WORKER_ID="0",
    ALLOW_MULTIPLE_LIBTPU_LOAD="1",
    JAX_PLATFORMS="cpu",
    KERAS_BACKEND="jax",
    TF_CPP_MIN_LOG_LEVEL="3",
)

from typing import Any

import jax
import keras
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import tfopt

TOPOLOGY = "v5e:2x2"
BATCH = 256
IMAGE = (32, 32, 3)
SAMPLES = np.random.default_rng(0).normal(size=(16, *IMAGE)).astype("float32")


def network() -> keras.Model:
    """A convolutional network with a depthwise layer."""
    layers, model = keras.layers, [keras.Input(IMAGE)]
    for convolution in (
        layers.Conv2D(32, 3, padding="same", use_bias=False),
        layers.DepthwiseConv2D(3, padding="same", use_bias=False),
        layers.Conv2D(64, 1, use_bias=False),
    ):
        model += [convolution, layers.BatchNormalization(), layers.ReLU()]
    return keras.Sequential([*model, layers.GlobalAveragePooling2D(), layers.Dense(10)])


def quantized(momentum: float = 0.99) -> keras.Model:
    """The network on the int8 grid; with a momentum of 1 no range moves."""
    return tfopt.quantize(network(), SAMPLES, tfopt.QuantConfig(ranges=tfopt.Ranges(momentum=momentum)))


def taught(student: keras.Model) -> keras.Model:
    """The student with a teacher of its own size."""
    return tfopt.Distiller(student, network(), [tfopt.SoftTargets(from_logits=True)])


def pruning() -> list[keras.callbacks.Callback]:
    """Masks on all kernels."""
    return [tfopt.Pruning(tfopt.ConstantSparsity(0.5), ".*")]


# Each row: the model, and the callbacks whose variables its step reads.
STEPS = {
    "float": lambda: (network(), []),
    "pruned": lambda: (network(), pruning()),
    "quantized": lambda: (quantized(), []),
    "quantized, ranges still": lambda: (quantized(1.0), []),
    "distilled": lambda: (taught(network()), []),
    "all three": lambda: (taught(quantized()), pruning()),
}


def compiled(model: keras.Model, callbacks: list[keras.callbacks.Callback]) -> Any:
    """The executable of the model's own training step, as `fit` makes it on JAX, with Adam."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=True)
    model.optimizer.build(model.trainable_variables)
    begun = keras.callbacks.CallbackList(callbacks, model=model, epochs=1, steps=8)
    begun.on_train_begin()
    mesh = Mesh(
        np.array(topologies.get_topology_desc(platform="tpu", topology_name=TOPOLOGY).devices), ("data",)
    )
    everywhere, shared = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), ("data",)))

    def like(variable: keras.Variable) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(variable.shape, variable.dtype, sharding=everywhere)

    state = tuple(
        [like(variable) for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    )
    x = jax.ShapeDtypeStruct((BATCH, *IMAGE), "float32", sharding=shared)
    y = jax.ShapeDtypeStruct((BATCH,), "int32", sharding=shared)
    step = jax.jit(lambda state, x, y: model.train_step(state, (x, y)), donate_argnums=0)
    made = step.lower(state, x, y).compile()
    begun.on_train_end()
    return made


def main() -> None:
    """Compile each step, and print its cost beside that of the float step."""
    # An executable that never runs need not be fast: 30 s of compilation become 5.
    jax.config.update("jax_exec_time_optimization_effort", -1.0)
    print(f"{TOPOLOGY}, batch {BATCH}, per chip, by the compiler's count")
    print(f"{'step':24}{'FLOPs':>12}{'':8}{'bytes':>12}{'':8}{'all-reduce':>10}{'peak MiB':>10}")
    base: dict[str, float] = {}
    for name, make in STEPS.items():
        keras.utils.set_random_seed(0)
        model, callbacks = make()
        executable = compiled(model, callbacks)
        text, cost, memory = executable.as_text(), executable.cost_analysis(), executable.memory_analysis()
        base = base or cost
        ratios = {key: f"{cost[key] / base[key]:.2f} x" for key in ("flops", "bytes accessed")}
        peak = (memory.temp_size_in_bytes + memory.argument_size_in_bytes) / 2**20
        print(
            f"{name:24}{cost['flops']:12.3e}{ratios['flops']:>8}{cost['bytes accessed']:12.3e}"
            f"{ratios['bytes accessed']:>8}{text.count(' all-reduce('):10}{peak:10.1f}",
            flush=True,
        )
        # A callback of the host would compile, by transfers that stall the chip at each step.
        if "is_host_transfer=true" in text:
            raise SystemExit(f"The step '{name}' must stay on the TPU. It transfers data to the host.")
        # The first line lists what goes in; masks alone are of bools.
        if ("pred[" in text.split("\n", 1)[0]) != bool(callbacks):
            raise SystemExit(f"The step '{name}' must read masks if and only if it is pruned.")


if __name__ == "__main__":
    main()
