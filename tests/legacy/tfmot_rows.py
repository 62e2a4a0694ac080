"""What from_keras2 makes of models that tensorflow-model-optimization has wrapped; a program of its own.

`python -m tests.legacy.tfmot_rows FOLDER` prints its numbers as JSON, and keeps its files in the folder.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

DATA = np.random.default_rng(0).normal(size=(256, 8, 8, 3)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 4, 256)


def _net(kf: Any, deep: bool = False) -> Any:
    """A small network; the deep one has what tfmot's and TFLite's schemes treat each in its own way."""
    L = kf.layers
    inputs = kf.Input((8, 8, 3))
    x = L.Conv2D(8, 3, use_bias=False)(inputs)
    x = first = L.ReLU()(L.BatchNormalization()(x))
    if deep:
        x = L.ReLU(6.0)(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(x)))
        x = L.Add()([L.Conv2D(8, 1)(x), first])
        x = L.Concatenate()([x, L.Conv2D(4, 1, activation="relu")(first)])
        x = L.SeparableConv2D(6, 3)(x)
    x = L.Dense(8, "relu")(L.GlobalAveragePooling2D()(x))
    return kf.Model(inputs, L.Dense(4, name="logits")(x))


def _fit(kf: Any, model: Any, epochs: int, **options: Any) -> None:
    loss = kf.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(DATA, LABELS, epochs=epochs, batch_size=8, verbose=0, **options)


def _difference(new: Any, old: Any) -> np.ndarray:
    return np.abs(np.asarray(new(DATA, training=False)) - np.asarray(old(DATA, training=False)))


def pruned(kf: Any, tfmot: Any, folder: Path) -> dict[str, Any]:
    from tfopt.legacy import from_keras2

    schedule = tfmot.sparsity.keras.ConstantSparsity(0.5, begin_step=0, frequency=1)
    model = tfmot.sparsity.keras.prune_low_magnitude(_net(kf), pruning_schedule=schedule)
    _fit(kf, model, 1, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()])
    model.save(folder / "pruned.h5")
    found = {}
    for name, argument in (("model", model), ("file", folder / "pruned.h5")):
        new = from_keras2(argument)
        kernels = [np.asarray(weight) for weight in new.weights if weight.name == "kernel"]
        found[name] = float(_difference(new, model).max())
        found[f"{name} zeros"] = [round(float((kernel == 0).mean()), 1) for kernel in kernels]
    return found


def clustered(kf: Any, tfmot: Any, folder: Path) -> dict[str, Any]:
    from tfopt.legacy import from_keras2

    init = tfmot.clustering.keras.CentroidInitialization.LINEAR
    model = tfmot.clustering.keras.cluster_weights(
        _net(kf), number_of_clusters=4, cluster_centroids_init=init
    )
    _fit(kf, model, 1)
    new = from_keras2(model)
    kernels = [np.asarray(weight) for weight in new.weights if weight.name == "kernel"]
    return {
        "model": float(_difference(new, model).max()),
        "values": max(len(np.unique(kernel)) for kernel in kernels),
    }


def quantized(kf: Any, tfmot: Any, folder: Path, deep: bool) -> dict[str, Any]:
    import tfopt
    from tfopt.legacy import from_keras2, ranges_of, set_ranges

    model = tfmot.quantization.keras.quantize_model(_net(kf, deep))
    _fit(kf, model, 30)
    model.save(folder / "quantized.h5")
    model.save(folder / "quantized")
    new, ranges = from_keras2(model), ranges_of(model)
    # tfmot has one step for a Dense kernel.
    q = tfopt.quantize(new, DATA, tfopt.QuantConfig(dense_granularity="tensor"))
    step = (ranges["logits"][1] - ranges["logits"][0]) / 255
    before = _difference(q, model) / step
    changed = set_ranges(q, ranges)
    after = _difference(q, model) / step
    files = [from_keras2(folder / name) for name in ("quantized.h5", "quantized")]
    return {
        "calibrated": {"largest": float(before.max()), "mean": float(before.mean())},
        "largest": float(after.max()),
        "mean": float(after.mean()),
        "within 1": float((after < 1.1).mean()),
        "changed": changed,
        "quantizers": [
            layer.name for layer in q.layers if isinstance(layer, tfopt.quantization.FakeQuantize)
        ],
        "ranges in a file": ranges_of(folder / "quantized.h5") == ranges,
        "files": [float(_difference(file, new).max()) for file in files],
        "layers": [layer.name for layer in new.layers],
    }


def main(folder: Path) -> None:
    warnings.simplefilter("ignore")
    import keras
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    import tf_keras as kf

    # What 960 steps end at depends on the order of sums, and that on what else the machine does.
    tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    kf.utils.set_random_seed(0)
    keras.utils.set_random_seed(0)
    results = {
        "pruned": pruned(kf, tfmot, folder),
        "clustered": clustered(kf, tfmot, folder),
        "quantized": quantized(kf, tfmot, folder, deep=False),
        "quantized, deep": quantized(kf, tfmot, folder, deep=True),
    }
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
