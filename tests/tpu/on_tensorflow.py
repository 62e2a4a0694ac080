"""The training steps of the TensorFlow backend, for the TPU's compiler: their StableHLO, compiled without a TPU.

make tpu-check

What `fit` traces with `jit_compile=True` is XLA's: TensorFlow gives it as StableHLO, and JAX hands that to libtpu. One
chip, or four that split the batch. JAX has no public name for compiling a program that it did not trace, so this holds
for the versions that `make tpu-check` names.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

from typing import Any

import keras
import numpy as np
import tensorflow as tf

# why private: see above.
from jax._src.interpreters import mlir
from jax._src.lib import xla_client
from jax.experimental import topologies
from jaxlib.mlir import ir

from tests.tpu.report import Cost, Table
from tests.tpu.steps import IMAGE, NETWORKS, STEPS, compile_model

BATCH = 64  # for each chip
TABLES = [
    ("v5e:2x2", 4, {}, ("pruned", "quantized", "distilled", "all three")),
    ("v5e:1x1", 1, {"chips_per_host_bounds": [1, 1, 1]}, ("all three",)),
]


def step(model: keras.Model, callbacks: list[keras.callbacks.Callback], batch: int) -> str:
    """The program of the model's own training step, with Adam."""
    compile_model(model)
    begun = keras.callbacks.CallbackList(callbacks, model=model, epochs=1, steps=8)
    begun.on_train_begin()
    text = _stablehlo(lambda x, y: model.train_step((x, y)), batch)
    begun.on_train_end()
    return text


def forward(model: keras.Model, batch: int) -> str:
    """The program of a forward pass in inference."""
    return _stablehlo(lambda x, y: model(x, training=False), batch)


def _stablehlo(function: Any, batch: int) -> str:
    data = tf.zeros((batch, *IMAGE)), tf.zeros((batch,), "int32")
    compiled = tf.function(function, jit_compile=True, autograph=False)
    return compiled.experimental_get_compiler_ir(*data)(stage="stablehlo")


def compiled(text: str, batch: int, chips: int, topology: str, **options: Any) -> Cost:
    """The cost of a program, its arguments that have a row for each sample split over the chips."""
    devices = topologies.get_topology_desc(platform="tpu", topology_name=topology, **options).devices[:chips]
    with mlir.make_ir_context(), ir.Location.unknown():
        module = ir.Module.parse(text)
        _remove_copies(module)
        _split(module, batch, chips)
        settings = xla_client.CompileOptions()
        build = settings.executable_build_options
        settings.num_replicas = build.num_replicas = 1
        settings.num_partitions = build.num_partitions = chips
        build.use_spmd_partitioning = chips > 1
        ids = np.array([device.id for device in devices]).reshape(1, chips)
        build.device_assignment = xla_client.DeviceAssignment.create(ids)
        build.exec_time_optimization_effort = -1.0  # it need not be fast: it never runs
        made = devices[0].client.compile(
            module, executable_devices=xla_client.DeviceList(tuple(devices)), compile_options=settings
        )
    return Cost.of(made.cost_analysis(), made.get_compiled_memory_stats(), made.hlo_modules()[0].to_string())


def _remove_copies(module: Any) -> None:
    """TensorFlow marks the variables that it returns with an operation that is not of StableHLO; it does nothing."""
    copies = []

    def note(operation: Any) -> Any:
        if operation.name == "mhlo.copy":
            copies.append(operation)
        return ir.WalkResult.ADVANCE

    module.operation.walk(note)
    for copy in copies:
        copy.results[0].replace_all_uses_with(copy.operands[0])
        copy.erase()


def _split(module: Any, batch: int, chips: int) -> None:
    """Shards the samples, and copies everything else, which takes the place of a strategy."""
    main = next(one for one in module.body.operations if one.attributes["sym_name"].value == "main")
    shardings = []
    for argument in main.arguments:
        shape = ir.RankedTensorType(argument.type).shape
        split = bool(shape) and shape[0] == batch
        ones = ",1" * (len(shape) - 1)
        text = f"{{devices=[{chips}{ones}]<=[{chips}]}}" if split else "{replicated}"
        shardings.append(ir.DictAttr.get({"mhlo.sharding": ir.StringAttr.get(text)}))
    if chips > 1:
        main.attributes["arg_attrs"] = ir.ArrayAttr.get(shardings)


def main() -> None:
    """Compile each step, and print its cost beside that of the float step."""
    network = NETWORKS["ResNet8"]
    for topology, chips, options, steps in TABLES:
        batch = BATCH * chips
        table = Table(f"TensorFlow, ResNet8, {topology}, batch {batch}, float32, per chip")
        for name in ("float", *steps):
            keras.utils.set_random_seed(0)
            table.add(name, compiled(step(*STEPS[name](network), batch), batch, chips, topology, **options))
            if name == "float":
                text = forward(network(), batch)
                table.add("teacher's forward pass", compiled(text, batch, chips, topology, **options))


if __name__ == "__main__":
    main()
