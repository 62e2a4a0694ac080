"""What pruning costs in accuracy: ResNet8 on CIFAR-10, from a trained float model to a pruned int8 file.

    TFOPT_TEST_DATA=/folder python -m tests.benchmarks.pruning_accuracy --sparsity=0.8 --scope=global --criterion=lamp

The protocol, the same for every way to prune: MLPerf Tiny's ResNet8, fine-tuned (`cifar10.float_model`); `--epochs`
of pruning; `--qat_epochs` of quantization-aware training that keeps the zeros; an int8 file. With `--epochs=0` all is
done in one fit: the zeros grow while the model trains on the int8 grid. Batches of 64, flips and shifts by 4 pixels.
`--sparsity` is that of ALL kernel weights: where some layers stay dense, others hold more zeros. `--clusters` lets the
codes of each kernel share so few values in the second training.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import math
import tempfile
from pathlib import Path
from typing import Any

import keras
from absl import app, flags

import tfopt
from tests.benchmarks import cifar10
from tfopt.compression import sizes
from tfopt.pruning import SRSTE, ConstantSparsity, PolynomialDecay, Pruning, find_targets, parse_pattern
from tfopt.pruning._patterns import NofM

_EPOCHS = flags.DEFINE_integer("epochs", 8, "Epochs of pruning in float; 0 to prune on the int8 grid.")
_QAT_EPOCHS = flags.DEFINE_integer("qat_epochs", 4, "Epochs of quantization-aware training after it.")
_SPARSITY = flags.DEFINE_float("sparsity", 0.8, "Fraction of zeros over all kernel weights.")
_RAMP = flags.DEFINE_float(
    "ramp", 0.5, "Fraction of the steps of that training after which the sparsity stands."
)
_PATTERN = flags.DEFINE_string("pattern", "unstructured", "As for Pruning.")
_SCOPE = flags.DEFINE_enum("scope", "global", ["layer", "global", "erk"], "As for Pruning.")
_SRSTE = flags.DEFINE_float(
    "srste",
    0.0,
    "Let pruned weights move on until this fraction of the steps of that training; 0: they do not.",
)
_CRITERION = flags.DEFINE_string("criterion", "magnitude", "As for Pruning.")
_WHERE = flags.DEFINE_string("where", None, "As for Pruning; '.*' prunes the first and the last layer too.")
_DISTIL = flags.DEFINE_bool("distil", False, "Let the float model teach, in both trainings.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-3, "At the start of pruning; falls on a cosine.")
_QAT_LEARNING_RATE = flags.DEFINE_float("qat_learning_rate", 3e-4, "The same for the training after it.")
_WEIGHT_BITS = flags.DEFINE_integer("weight_bits", 8, "Bits of a weight on the grid.", 1, 8)
_CLUSTERS = flags.DEFINE_integer("clusters", 0, "Distinct codes of each kernel; 0 for all.")


def final_sparsity(model: keras.Model) -> float:
    """What the pruned layers must hold, so that all kernels together hold `--sparsity`; N:M has its own."""
    pattern = parse_pattern(_PATTERN.value)
    if isinstance(pattern, NofM):
        return pattern.final
    targets, _ = find_targets(model, _WHERE.value)
    everything, _ = find_targets(model, ".*")
    sizes = [sum(math.prod(t.variable.shape) for t in part) for part in (targets, everything)]
    return _SPARSITY.value * sizes[1] / sizes[0]


def pruning(schedule: Any, samples: Any, regrowth: SRSTE | None = None) -> Pruning:
    """The callback of both trainings."""
    return Pruning(
        schedule,
        _WHERE.value,
        pattern=_PATTERN.value,
        scope=_SCOPE.value,
        criterion=_CRITERION.value,
        data=samples,
        regrowth=regrowth,
    )


def main(_: list[str]) -> None:
    """Train, prune, quantize, export and print a line."""
    seed = cifar10.FLAGS.seed
    keras.utils.set_random_seed(seed)
    (x, y), test = cifar10.load_data()
    epochs = _EPOCHS.value + _QAT_EPOCHS.value
    batches = cifar10.Augmented(x, y, seed, period=epochs)
    teacher = cifar10.float_model(x, y)
    model = cifar10.copy_of(teacher)
    helper = cifar10.cached(teacher, x, y, epochs) if _DISTIL.value else None
    samples, minutes, final = (x[:512], y[:512]), cifar10.Minutes(), final_sparsity(model)

    steps = (_EPOCHS.value or _QAT_EPOCHS.value) * len(batches)
    ramp = PolynomialDecay(
        final, end_step=max(1, round(steps * _RAMP.value)), frequency=max(1, len(batches) // 8)
    )
    regrowth = SRSTE(round(_SRSTE.value * steps)) if _SRSTE.value else None
    if _EPOCHS.value:
        first = pruning(ramp, samples, regrowth)
        cifar10.train_with(helper, model, batches, _EPOCHS.value, _LEARNING_RATE.value, [first])
        print(first.report)
    scores = {"float": cifar10.accuracy(teacher, test), "pruned": cifar10.accuracy(model, test)}

    student = tfopt.quantize(model, x[:512], tfopt.QuantConfig(weight_bits=_WEIGHT_BITS.value))
    second = pruning(ConstantSparsity(final), samples) if _EPOCHS.value else pruning(ramp, samples, regrowth)
    shared = [tfopt.Clustering(_CLUSTERS.value, _WHERE.value)] if _CLUSTERS.value else []
    callbacks = [second, *shared]
    cifar10.train_with(helper, student, batches, _QAT_EPOCHS.value, _QAT_LEARNING_RATE.value, callbacks)
    scores["int8 in Keras"] = cifar10.accuracy(student, test)
    path = Path(tempfile.mkdtemp()) / "int8.tflite"
    tfopt.export(teacher, path.with_name("float.tflite"))
    tfopt.export(student, path)
    row = tfopt.compare({"int8": path}, *test).rows[0]
    scores["int8 file"] = 100.0 * (row.metric or 0.0)

    how = f"{_PATTERN.value}, {_SCOPE.value}, {_CRITERION.value}, {_WEIGHT_BITS.value} bits"
    print(f"\n{how}, distil={_DISTIL.value}, seed {seed}")
    for name, score in scores.items():
        print(f"{name:<14}{score:8.2f} %{score - scores['float']:+8.2f}")
    print(f"zeros in the file's kernels: {cifar10.zeros_in(path)}")
    print(sizes({"float": path.with_name("float.tflite"), "int8": path}))
    print(f"epochs: {_EPOCHS.value} + {_QAT_EPOCHS.value}; CPU minutes: {minutes}")


if __name__ == "__main__":
    app.run(main)
