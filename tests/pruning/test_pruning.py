"""The callback beside the rest of Keras: constraints, checkpoints, resumed runs, other callbacks, errors."""

import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.optimizers import Adam

from tests.pruning.nets import BATCHES, LOSS, compiled_net, conv_net, drive, fit, kernels, zeros, zeros_at
from tfopt.pruning import ConstantSparsity, PolynomialDecay, Pruning

SLOW = pytest.mark.slow
STEPS = 4 * BATCHES
SCHEDULE = PolynomialDecay(0.75, end_step=STEPS, begin_step=3, frequency=5)


def net(**kwargs: Any) -> keras.Model:
    """The net of this file: Adam, plain graph mode."""
    return compiled_net(lambda: Adam(0.01), **kwargs)


class Stop(keras.callbacks.Callback):
    """Fails at the beginning of an epoch, like a machine that goes down."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.epoch:
            raise KeyboardInterrupt


CONSTRAINTS = {
    "max_norm": (keras.constraints.MaxNorm(0.3), lambda norms, w: np.all(norms <= 0.3 + 1e-5)),
    "unit_norm": (
        keras.constraints.UnitNorm(),
        lambda norms, w: np.all((abs(norms - 1) < 1e-4) | (norms == 0)),
    ),
    "non_neg": (keras.constraints.NonNeg(), lambda norms, w: np.all(w >= 0)),
}


@pytest.mark.parametrize(
    "name", ["unit_norm", *(pytest.param(n, marks=SLOW) for n in ("max_norm", "non_neg"))]
)
def test_own_constraints_hold_and_are_put_back(name: str, blobs: Any) -> None:
    constraint, holds = CONSTRAINTS[name]
    model = compiled_net(lambda: Adam(0.01, use_ema=True), net=lambda: conv_net(constraint, head=False))
    fit(model, blobs, [Pruning(ConstantSparsity(0.75))], epochs=2)
    for kernel, expected, found in zip(kernels(model), zeros_at(model, 0.75), zeros(model), strict=True):
        assert found == expected if name != "non_neg" else found >= expected
        norms = np.sqrt(np.sum(kernel.numpy() ** 2, axis=0))
        assert holds(norms, kernel.numpy())
        assert kernel.constraint is constraint


@pytest.mark.parametrize("reuse", [False, pytest.param(True, marks=SLOW)])
def test_constraints_do_not_nest_after_a_run_that_failed(reuse: bool, blobs: Any) -> None:
    own = keras.constraints.MaxNorm(1.0)
    model = net(net=lambda: conv_net(own, head=False))
    pruning = Pruning(ConstantSparsity(0.5))
    with pytest.raises(KeyboardInterrupt):
        fit(model, blobs, [pruning, Stop(1)])
    assert all(kernel.constraint is not own for kernel in kernels(model))
    again = pruning if reuse else Pruning(ConstantSparsity(0.75))
    fit(model, blobs, [again], epochs=1)
    assert all(kernel.constraint is own for kernel in kernels(model))
    assert zeros(model) == zeros_at(model, 0.5 if reuse else 0.75)


def test_on_train_end_by_hand_frees_a_model_after_a_run_that_failed(blobs: Any) -> None:
    model = net()
    pruning = Pruning(ConstantSparsity(0.5))
    with pytest.raises(KeyboardInterrupt):
        fit(model, blobs, [pruning, Stop(1)])
    pruning.on_train_end()
    pruning.on_train_end()  # once too often does no harm
    assert [kernel.constraint for kernel in kernels(model)] == [None] * 3
    fit(model, blobs, epochs=1)
    assert zeros(model) == [0, 0, 0]


@pytest.mark.parametrize(
    ("checkpoint_first", "save_freq"),
    [
        (False, 3),
        pytest.param(True, "epoch", marks=SLOW),
    ],
)
def test_checkpoints_are_plain_and_as_sparse_as_the_log(
    checkpoint_first: bool, save_freq: Any, blobs: Any, tmp_path: Path
) -> None:
    model = net()
    name = "{epoch}.keras" if save_freq == "epoch" else "{epoch}-{batch}.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / name, save_freq=save_freq)
    callbacks = [Pruning(SCHEDULE), checkpoint]
    history = fit(model, blobs, callbacks[::-1] if checkpoint_first else callbacks, epochs=4)
    files = sorted(tmp_path.iterdir())
    assert len(files) == (4 if save_freq == "epoch" else STEPS // 3)
    for file in files:
        with zipfile.ZipFile(file) as archive:
            assert "tfopt" not in archive.read("config.json").decode()
        loaded = keras.saving.load_model(file)
        epoch, _, batch = file.stem.partition("-")
        step = (int(epoch) - 1) * BATCHES + int(batch or BATCHES)
        assert zeros(loaded) == zeros_at(loaded, SCHEDULE(step))
        assert int(loaded.optimizer.iterations.numpy()) == step
        if not batch:
            share = sum(zeros(loaded)) / sum(kernel.numpy().size for kernel in kernels(loaded))
            assert history["sparsity"][int(epoch) - 1] == share


def test_a_resumed_run_equals_one_that_was_not_interrupted(blobs: Any, tmp_path: Path) -> None:
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    whole = net()
    fit(whole, blobs, [Pruning(SCHEDULE), checkpoint], epochs=4)
    resumed = keras.saving.load_model(tmp_path / "2.keras")
    fit(resumed, blobs, [Pruning(SCHEDULE)], epochs=4, initial_epoch=2)
    for one, other in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_array_equal(one.numpy() == 0, other.numpy() == 0)
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("backup_first", [False, pytest.param(True, marks=SLOW)])
def test_backup_and_restore(backup_first: bool, blobs: Any, tmp_path: Path) -> None:
    # Constant, so that masks made of the fresh weights, before they are restored, would stay.
    schedule = ConstantSparsity(0.75)

    def callbacks() -> list[keras.callbacks.Callback]:
        pair = [keras.callbacks.BackupAndRestore(tmp_path / "backup"), Pruning(schedule)]
        return pair if backup_first else pair[::-1]

    keras.utils.set_random_seed(1)
    whole = net()
    fit(whole, blobs, [Pruning(schedule)], epochs=4)
    keras.utils.set_random_seed(1)
    with pytest.raises(KeyboardInterrupt):
        fit(net(), blobs, [*callbacks(), Stop(2)], epochs=4)
    keras.utils.set_random_seed(2)
    resumed = net()
    fit(resumed, blobs, callbacks(), epochs=4)
    for one, other in zip(kernels(whole), kernels(resumed), strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-7)


def test_a_later_fit_keeps_the_zeros_with_constant_sparsity(blobs: Any) -> None:
    model = net()
    fit(model, blobs, [Pruning(PolynomialDecay(0.75, STEPS // 2, frequency=5))])
    before = [kernel.numpy() for kernel in kernels(model)]
    fit(model, blobs, [Pruning(ConstantSparsity(0.75))], epochs=1)
    for old, kernel in zip(before, kernels(model), strict=True):
        np.testing.assert_array_equal(old == 0, kernel.numpy() == 0)
        assert not np.array_equal(old, kernel.numpy())


def test_swapped_moving_averages_are_as_sparse(blobs: Any, tmp_path: Path) -> None:
    model = compiled_net(lambda: Adam(0.01, use_ema=True))
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "last.weights.h5", save_weights_only=True)
    fit(model, blobs, [swap, Pruning(ConstantSparsity(0.75, begin_step=3)), checkpoint], epochs=2)
    loaded = conv_net()
    loaded.load_weights(tmp_path / "last.weights.h5")
    assert zeros(loaded) == zeros_at(loaded, 0.75)


def test_subclassed_model_frozen_layer_and_report(blobs: Any) -> None:
    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="outer")
            self.body = conv_net(head=False)
            self.heads = [keras.layers.Dense(4, name="head")]

        def call(self, x):  # type: ignore[no-untyped-def]
            return self.heads[0](self.body(x))

    model = Net()
    model(blobs[0][:1])
    model.body.get_layer("dense").trainable = False
    model.compile("adam", LOSS, jit_compile=False)
    pruning = Pruning(ConstantSparsity(0.75))
    fit(model, blobs, [pruning], epochs=1)
    report = pruning.report
    rows = {row.path: (row.shape, row.sparsity, row.reason) for row in report.layers}
    assert rows == {
        "net/conv": ((3, 3, 1, 8), 0.75, None),
        "outer/head": ((50, 4), 0.75, None),
        "net/norm": (None, None, "normalization: few weights, each of which scales a whole channel"),
        "net/depthwise": (None, None, rows["net/depthwise"][2]),
        "net/dense": (None, None, "frozen"),
    }
    assert (report.sparsity, report.size, report.parameters) == (0.75, 272, model.count_params())
    assert json.loads(json.dumps(report.to_dict()))["layers"][0]["path"] == "net/conv"
    assert "75.0 % of the 272 pruned weights are zero" in str(report)
    assert "Dense: net/dense (frozen)." in report.to_markdown()


def test_training_that_ends_before_the_schedule_warns(blobs: Any) -> None:
    message = "ended at step 8, before the pruning schedule does at step 32: .* 0.325 instead of 0.75.*ends at step 8"
    with pytest.warns(UserWarning, match=message):
        fit(net(), blobs, [Pruning(SCHEDULE)], epochs=1)


def test_two_callbacks_on_different_layers(blobs: Any) -> None:
    model = net()
    callbacks = [
        Pruning(ConstantSparsity(0.5), where="conv$"),
        Pruning(ConstantSparsity(0.75), where="dense$"),
    ]
    fit(model, blobs, callbacks, epochs=1)
    assert zeros(model) == [36, 300, 0]


def test_two_callbacks_on_the_same_layer(blobs: Any) -> None:
    callbacks = [Pruning(ConstantSparsity(0.5), where="conv$"), Pruning(ConstantSparsity(0.75))]
    with pytest.raises(
        ValueError, match=r"'where' arguments of two Pruning.*Got 'net/conv/kernel' selected by both"
    ):
        fit(net(), blobs, callbacks, epochs=1)


def test_where_is_passed_on() -> None:
    model = net()
    drive(model, Pruning(ConstantSparsity(0.5), where="conv$"), epochs=1)
    assert zeros(model) == [36, 0, 0]


def bad_fit(**kwargs: Any) -> None:
    """One epoch with a Pruning of these arguments."""
    blobs = np.zeros((32, 8, 8, 1), "float32"), np.zeros(32, "int32")
    model = kwargs.pop("model", None) or net()
    fit(model, blobs, [Pruning(**{"schedule": ConstantSparsity(0.5), **kwargs})], epochs=1)


def unbuilt() -> keras.Model:
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4)], name="net")
    model.compile("adam", LOSS)
    return model


ERRORS = [
    (
        lambda: Pruning(0.8),
        TypeError,
        r"'schedule'.*PolynomialDecay.*Got 0.8 instead.*pass ConstantSparsity\(0.8\)",
    ),
    (
        lambda: Pruning(SCHEDULE, where=3),
        TypeError,
        r"'where'.*None, a regular expression or a function.*Got 3 ",
    ),
    (
        lambda: Pruning(SCHEDULE, where="(a"),
        ValueError,
        r"'where'.*regular expression. Got '\(a' instead.*backslash",
    ),
    (lambda: Pruning(SCHEDULE).report, ValueError, r"'report' of Pruning is made in fit. Call model.fit"),
    (lambda: bad_fit(where="stem"), ValueError, r"'where'.*matches none, instead.*net/conv, net/norm"),
    (
        lambda: bad_fit(model=unbuilt()),
        ValueError,
        r"'net' must be built before it is pruned.*Give it an Input",
    ),
    (
        lambda: bad_fit(schedule=lambda step: 1.0),
        ValueError,
        r"must return a float in \[0, 1\). Got 1.0 at step 0 ",
    ),
]


@pytest.mark.parametrize(("act", "error", "message"), ERRORS, ids=[row[2][:40] for row in ERRORS])
def test_bad_input_gets_one_clear_sentence(act, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=message):
        act()
