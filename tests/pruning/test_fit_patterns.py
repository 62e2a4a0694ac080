"""Patterns, scopes, schedules and regrowth in `fit`. A new one adds a row to the table of its kind."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tests.pruning.nets import LOSS, drive
from tfopt.pruning import (
    SET,
    SRSTE,
    ConstantSparsity,
    CosineDecay,
    ExponentialDecay,
    Iterative,
    OneShot,
    PolynomialDecay,
    Pruning,
    RigL,
)
from tfopt.pruning._budgets import SCOPES

SLOW = pytest.mark.slow
STEPS = 16
PATTERNS = {"unstructured": 0.75, "2:4": 0.5, "1x4": 0.75, "4x1": 0.75, "channels": 0.5, "heads": 0.5}
SCHEDULES: dict[str, Any] = {
    "constant": lambda final: ConstantSparsity(final),
    "polynomial": lambda final: PolynomialDecay(final, STEPS, frequency=5),
    "cosine": lambda final: CosineDecay(final, STEPS, frequency=5),
    "exponential": lambda final: ExponentialDecay(final, STEPS, frequency=5),
    "one_shot": lambda final: OneShot(final, step=5, rewind_step=2),
    "iterative": lambda final: Iterative(final, 4, STEPS, rounds=3, rewind_step=2),
    "callable": lambda final: lambda step: final * min(1.0, step / STEPS),
}
# Every pattern and every schedule trains in some pair, in both scopes; all pairs are driven by hand.
TRAINED = [
    ("2:4", "polynomial", "global"),
    ("channels", "iterative", "layer"),
]
TRAINED_TOO = [
    ("unstructured", "cosine", "global"),
    ("1x4", "callable", "layer"),
    ("4x1", "exponential", "global"),
    ("heads", "one_shot", "layer"),
    ("channels", "constant", "global"),
]


def transformer(zeros: bool = False) -> keras.Model:
    """Convolutions, batch norm, attention with grouped queries, Dense: every kernel is a multiple of 4 wide."""
    init = "zeros" if zeros else "glorot_uniform"
    x = inputs = keras.Input((8, 8, 1))
    x = layers.Reshape((8, 8))(x)
    x = layers.Conv1D(16, 3, padding="same", name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU()(x)
    x = layers.Add()([x, layers.GroupQueryAttention(4, 4, 2, name="attention")(x, x)])
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(32, "relu", name="dense")(x)
    model = keras.Model(inputs, layers.Dense(4, kernel_initializer=init, name="head")(x), name="net")
    model.compile(keras.optimizers.Adam(0.01), LOSS, jit_compile=False)
    return model


def dense_net(zeros: bool = False) -> keras.Model:
    """What needs no pattern trains this, which is traced in a fraction of the time."""
    init = "zeros" if zeros else "glorot_uniform"
    inputs = keras.Input((8, 8, 1))
    x = layers.Dense(32, "relu", name="dense")(layers.Flatten()(inputs))
    model = keras.Model(inputs, layers.Dense(4, kernel_initializer=init, name="head")(x), name="net")
    model.compile(keras.optimizers.Adam(0.01), LOSS, jit_compile=False)
    return model


def train(model: keras.Model, blobs: Any, pruning: Pruning, epochs: int = 3) -> dict[str, list[float]]:
    """Eight steps an epoch."""
    arguments = {"batch_size": 32, "epochs": epochs, "verbose": 0, "shuffle": False}
    return model.fit(*blobs, callbacks=[pruning], **arguments).history


def kernel_zeros(pruning: Pruning) -> tuple[int, int]:
    return pruning.report.zeros, pruning.report.size


@pytest.mark.parametrize(
    ("pattern", "schedule", "scope"), [*TRAINED, *(pytest.param(*row, marks=SLOW) for row in TRAINED_TOO)]
)
def test_exact_sparsity_after_fit(pattern: str, schedule: str, scope: str, blobs: Any) -> None:
    model = transformer()
    pruning = Pruning(SCHEDULES[schedule](PATTERNS[pattern]), pattern=pattern, scope=scope)
    history = train(model, blobs, pruning)
    check_exact(pattern, model, pruning, history)


DRIVEN = [
    (pattern, schedule, SCOPES[(row + column) % 2])
    for row, pattern in enumerate(PATTERNS)
    for column, schedule in enumerate(SCHEDULES)
]


@pytest.mark.parametrize(
    ("pattern", "schedule", "scope"),
    [case if case[1] == "polynomial" else pytest.param(*case, marks=SLOW) for case in DRIVEN],
)
def test_exact_sparsity_of_every_pattern_and_schedule(pattern: str, schedule: str, scope: str) -> None:
    model = transformer()
    pruning = Pruning(SCHEDULES[schedule](PATTERNS[pattern]), pattern=pattern, scope=scope)
    check_exact(pattern, model, pruning, drive(model, pruning))


def check_exact(pattern: str, model: keras.Model, pruning: Pruning, history: dict[str, list[float]]) -> None:
    """The sparsity asked for, to one unit, where the pattern wants it, in a sound model."""
    final = PATTERNS[pattern]
    zeros, size = kernel_zeros(pruning)
    largest = {"channels": 64, "heads": 4 * 16 * 8, "1x4": 4, "4x1": 4}.get(pattern, 1)
    assert final * size - largest < zeros <= final * size
    assert history["sparsity"][-1] == zeros / size
    assert holds(pattern, model)
    assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)
    assert all(weight.constraint is None for weight in model.trainable_weights)


def holds(pattern: str, model: keras.Model) -> bool:
    """Whether zeros of the convolution (or the attention layer) stand where the pattern wants them."""
    zero = model.get_layer("conv").kernel.numpy() == 0
    taps, inputs, outputs = zero.shape
    if pattern == "2:4":
        return bool(np.all(zero.reshape(taps, inputs // 4, 4, outputs).sum(axis=2) >= 2))
    if pattern == "1x4":
        return set(zero.reshape(taps, inputs // 4, 4, outputs).sum(axis=2).ravel().tolist()) <= {0, 4}
    if pattern == "4x1":
        return set(zero.reshape(taps, inputs, outputs // 4, 4).sum(axis=3).ravel().tolist()) <= {0, 4}
    if pattern == "channels":
        gone = zero.all(axis=(0, 1))
        norm = model.get_layer("norm")
        followers = [model.get_layer("conv").bias, norm.gamma, norm.beta]
        return gone.sum() == zero.any(axis=(0, 1)).sum() and all(
            np.array_equal(weight.numpy() == 0, gone) for weight in followers
        )
    if pattern == "heads":
        kernel = {
            w.path.split("/")[-2]: w.numpy() for w in model.trainable_weights if w.path.endswith("kernel")
        }
        key = ~kernel["key"].any(axis=(0, 2))
        query = ~kernel["query"].any(axis=(0, 2))
        output = ~kernel["attention_output"].any(axis=(1, 2))
        return key.sum() == 1 and np.array_equal(np.repeat(key, 2), query) and np.array_equal(query, output)
    return True


def test_a_removed_channel_is_zero_behind_its_batch_norm(blobs: Any) -> None:
    model = transformer()
    drive(model, Pruning(ConstantSparsity(0.5), pattern="channels"), epochs=1)
    norm = model.get_layer("norm")
    output = keras.Model(model.input, norm.output)(blobs[0]).numpy()
    gone = norm.gamma.numpy() == 0
    assert gone.sum() == 8 and not output[..., gone].any() and output[..., ~gone].any()


@pytest.mark.parametrize(
    "pattern", ["unstructured", *(pytest.param(p, marks=SLOW) for p in ("channels", "1x4"))]
)
def test_zero_initialized_kernels_are_not_frozen(pattern: str, blobs: Any) -> None:
    model = dense_net(zeros=True)
    train(model, blobs, Pruning(ConstantSparsity(0.5), "head", pattern=pattern), epochs=1)
    zeros = np.sum(model.get_layer("head").kernel.numpy() == 0)
    # Exactly half is masked; of what is kept, all has trained but what reads a dead ReLU.
    assert 64 <= zeros < 80


def test_global_scope_differs_between_layers_and_resumes_where_it_stopped(tmp_path: Path) -> None:
    model = transformer()
    first = Pruning(PolynomialDecay(0.8, STEPS, frequency=5), scope="global", criterion="lamp")
    drive(model, first)
    model.save(tmp_path / "pruned.keras")
    sparsities = {row.sparsity for row in first.report.layers if row.sparsity is not None}
    assert len(sparsities) > 2
    loaded = keras.saving.load_model(tmp_path / "pruned.keras")
    again = Pruning(PolynomialDecay(0.8, STEPS, frequency=5), scope="global", criterion="lamp")
    drive(loaded, again, epochs=1)
    for one, other in zip(model.trainable_weights, loaded.trainable_weights, strict=True):
        np.testing.assert_array_equal(one.numpy() == 0, other.numpy() == 0)


REGROWTH = {
    "rigl": (RigL(24, drop_fraction=0.4, frequency=4), {}),
    "rigl_blocks": (RigL(24, drop_fraction=0.4, frequency=4), {"pattern": "1x4"}),
    "set": (SET(24, drop_fraction=0.4, frequency=4), {}),
    "set_erk": (SET(24, drop_fraction=0.4, frequency=4), {"scope": "erk"}),
    "srste": (SRSTE(24, frequency=4, decay=0.01), {"scope": "global"}),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n == "rigl_blocks" else SLOW) for n in REGROWTH]
)
def test_regrowth_moves_masks_at_constant_sparsity(name: str, blobs: Any) -> None:
    regrowth, options = REGROWTH[name]
    model = transformer()
    pruning = Pruning(ConstantSparsity(0.75), regrowth=regrowth, data=blobs, **options)
    history = train(model, blobs, pruning, epochs=3)
    assert all(change > 0 for change in history["mask_change"])
    zeros, size = kernel_zeros(pruning)
    # What grows starts at zero, and stays there as long as its gradient is zero (behind a dead ReLU).
    assert round(0.75 * size) - 4 <= zeros <= 0.80 * size


@pytest.mark.parametrize("pattern", ["unstructured", "2:4"])
def test_pruned_weights_move_on_out_of_sight(pattern: str) -> None:
    """Zhou et al. 2021, equation 9, with SGD: `w <- w - rate * gradient(m * w) - decay * (1 - m) * w`, masks anew."""
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(64, 8)).astype("float32"), rng.normal(size=(8, 4)).astype("float32")
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    full = model.layers[0].kernel.numpy()
    pruning = Pruning(
        ConstantSparsity(0.5), ".*", pattern=pattern, regrowth=SRSTE(6, frequency=2, decay=0.25)
    )
    model.fit(x, x @ target, batch_size=8, shuffle=False, verbose=0, callbacks=[pruning])

    def masked(w: np.ndarray) -> np.ndarray:
        rows = w.T.reshape(-1, 4) if pattern == "2:4" else w.reshape(1, -1)
        kept = np.argsort(np.argsort(-np.abs(rows), axis=1), axis=1) < rows.shape[1] // 2
        return kept.reshape(w.T.shape).T if pattern == "2:4" else kept.reshape(w.shape)

    mask = masked(full)
    for step, part in enumerate(np.split(x, 8)):
        # Masks for step n are made before the batch that leads to it.
        mask = masked(full) if step + 1 in (1, 2, 4) else mask
        gradient = part.T @ (part @ (full * mask) - part @ target) * 2 / (8 * 4)
        full = np.where(mask, full, 0.75 * full) - 0.5 * gradient
    np.testing.assert_allclose(model.layers[0].kernel, np.where(mask, full, 0.0), atol=1e-5)


def test_rewinding_brings_back_the_weights_of_its_step(blobs: Any) -> None:
    model = dense_net()
    kept: dict[int, list[np.ndarray]] = {}

    class Keep(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            kept[int(model.optimizer.iterations)] = [weight.numpy() for weight in model.trainable_weights]

    schedule = OneShot(0.75, step=6, rewind_step=2)
    pruning = Pruning(schedule)
    model.fit(*blobs, batch_size=32, epochs=1, shuffle=False, verbose=0, callbacks=[pruning, Keep()])
    # Masks for step 6 are made before the sixth batch: Keep, behind Pruning, sees the weights already set back.
    for old, new in zip(kept[2], kept[5], strict=True):
        np.testing.assert_array_equal(np.where(new == 0, 0, old), new)
    assert any(np.any(new == 0) for new in kept[5])
    assert not any(np.array_equal(old, new) for old, new in zip(kept[2], kept[4], strict=True))


def test_rewinding_needs_to_have_seen_the_step() -> None:
    model = dense_net()
    drive(model, Pruning(ConstantSparsity(0.5)), epochs=1)
    with pytest.raises(
        ValueError, match=r"'rewind_step'.*a step of this training. Got 2, .*Give the schedule later"
    ):
        drive(model, Pruning(OneShot(0.75, step=10, rewind_step=2)))


def test_epochs_as_unit_and_logs_of_layers(blobs: Any) -> None:
    model = dense_net()
    pruning = Pruning(PolynomialDecay(0.8, end_step=2, power=1, frequency=1), unit="epoch", log_layers=True)
    history = train(model, blobs, pruning)
    assert pruning.report.sparsity == history["sparsity"][-1]
    np.testing.assert_allclose(history["sparsity"], [0.4, 0.8, 0.8], atol=0.01)
    layer_logs = {name: values for name, values in history.items() if name.startswith("sparsity/")}
    assert set(layer_logs) == {f"sparsity/{m.variable.path}" for g in pruning._groups for m in g.kernels}
    np.testing.assert_allclose(layer_logs["sparsity/dense/kernel"], [0.4, 0.8, 0.8], atol=0.01)
    np.testing.assert_allclose(history["mask_change"], [0.4, 0.4, 0.0], atol=0.01)


def test_epochs_of_unknown_length(blobs: Any) -> None:
    def endless() -> Any:
        while True:
            yield blobs[0][:8], blobs[1][:8]

    pruning = Pruning(lambda epoch: 0.5 if epoch >= 1 else 0.25, unit="epoch")
    model = dense_net()
    model.fit(endless(), steps_per_epoch=3, epochs=2, shuffle=False, verbose=0, callbacks=[pruning])
    assert pruning.report.sparsity == 0.5


def test_soft_threshold_shrinks_what_it_keeps(blobs: Any) -> None:
    model = dense_net()
    before = model.get_layer("dense").kernel.numpy()
    model.optimizer.learning_rate.assign(0.0)
    train(model, blobs, Pruning(ConstantSparsity(0.5), "^dense$", criterion="soft_threshold"), epochs=1)
    after = model.get_layer("dense").kernel.numpy()
    alpha = np.abs(before[after == 0]).max()
    np.testing.assert_allclose(after, np.sign(before) * np.maximum(np.abs(before) - alpha, 0), rtol=1e-6)
    assert np.sum(after == 0) == before.size // 2


def test_default_rule_spares_small_edges_and_where_overrides_it() -> None:
    x = inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, name="stem")(x)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Dense(64, name="wide")(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(4, name="head")(x), name="net")
    model.compile("adam", LOSS)
    pruning = Pruning(ConstantSparsity(0.5))
    drive(model, pruning, epochs=1)
    reasons = {row.path: row.reason for row in pruning.report.layers}
    assert reasons["wide"] is None
    assert "first convolution, 0.8 % of the weights" in str(reasons["stem"])
    assert "output layer, 5.8 % of the weights" in str(reasons["head"])
    assert "Dense: head (output layer, 5.8 %" in " ".join(str(pruning.report).split())
    named = Pruning(ConstantSparsity(0.5), ".*")
    drive(model, named, epochs=1)
    assert {row.path: row.sparsity for row in named.report.layers} == dict.fromkeys(
        ["stem", "depthwise", "wide", "head"], 0.5
    )
