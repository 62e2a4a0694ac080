"""What Keras offers for training, each option alone and in pairs, with all three techniques in one `fit`."""

import functools
import itertools
from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 6, 6, 2)).astype("float32")
Y = RNG.integers(0, 4, 96)
SPARSITY = 0.5

# Option -> arguments of the optimizer, of `compile`, and the policy.
OPTIONS: dict[str, tuple[dict, dict, str]] = {
    "XLA": ({}, {"jit_compile": True}, "float32"),
    "steps_per_execution": ({}, {"steps_per_execution": 3}, "float32"),
    "mixed_bfloat16": ({}, {}, "mixed_bfloat16"),
    "accumulation": ({"gradient_accumulation_steps": 2}, {}, "float32"),
    "EMA": ({"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 4}, {}, "float32"),
}
# With these the same is computed, in another order.
SAME = {"XLA", "steps_per_execution"}


def _network() -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(8, 3, strides=2, use_bias=False, name="conv"),
            layers.BatchNormalization(momentum=0.8, name="norm"),
            layers.ReLU(name="relu"),
            layers.Flatten(name="flatten"),
            layers.Dense(8, "relu", name="dense"),
            # float32, as Keras advises, for the loss.
            layers.Dense(4, name="head", dtype="float32"),
        ]
    )


@functools.cache
def _trained(names: frozenset[str]) -> keras.Model:
    """The quantized student after 24 steps with these options."""
    optimizer, compiled, policies = {}, {"jit_compile": False}, {"float32"}
    for name in names:
        optimizer |= OPTIONS[name][0]
        compiled |= OPTIONS[name][1]
        policies.add(OPTIONS[name][2])
    keras.config.set_dtype_policy(max(policies))  # of the two, the mixed one
    keras.utils.set_random_seed(0)
    try:
        student, teacher = tfopt.quantize(_network(), X), _network()
    finally:
        keras.config.set_dtype_policy("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    distiller = tfopt.Distiller(student, teacher, [tfopt.SoftTargets(from_logits=True)])
    distiller.compile(keras.optimizers.SGD(0.02, momentum=0.5, **optimizer), loss, **compiled)
    # With one mask from the start: another would come with the execution in which its step lies.
    schedule = tfopt.ConstantSparsity(SPARSITY)
    distiller.fit(
        X,
        Y,
        12,
        epochs=3,
        shuffle=False,
        verbose=0,
        callbacks=[tfopt.Pruning(schedule, where="conv$|dense$")],
    )
    return student


ROWS = [frozenset({name}) for name in OPTIONS] + [
    frozenset(two) for two in itertools.combinations(OPTIONS, 2)
]


@pytest.mark.slow
@pytest.mark.parametrize("names", ROWS, ids=lambda names: " and ".join(sorted(names)))
def test_options_of_training(names: frozenset[str], tmp_path: Path) -> None:
    student = _trained(names)
    for layer in ("conv", "dense"):
        kernel = np.asarray(student.get_layer(layer).kernel)
        assert np.mean(kernel == 0) == SPARSITY, layer
    path = tmp_path / "model.tflite"
    tfopt.export(student, path)
    assert tfopt.verify(student, path, X).passed
    if names & SAME:
        for one, other in zip(student.weights, _trained(names - SAME).weights, strict=True):
            np.testing.assert_array_equal(np.asarray(one) == 0, np.asarray(other) == 0, err_msg=one.path)
            # XLA leaves out roundings to 16 bits between operations that it fuses.
            bits = 2.0**-6 if "mixed_bfloat16" in names else 2e-5
            np.testing.assert_allclose(one, other, atol=bits, err_msg=one.path)
