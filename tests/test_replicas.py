"""A batch shared by two replicas trains as one replica with the whole batch would: a row for each way to train."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
import tfopt.distillation as td
from tests.strategies import two_devices
from tfopt import Distiller, Pruning
from tfopt._on_batch import on_batch

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 6, 6, 2)).astype("float32")
Y = RNG.integers(0, 4, 96)
# Halves of a batch that differ, so that what a replica sees alone shows.
X[np.arange(96) % 32 < 16] *= 3.0
DATA = (X[:48], Y[:48])


def _network(synchronized: bool = True) -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(8, 3, strides=2, name="conv"),
            # Only a synchronized batch norm computes what one replica would.
            layers.BatchNormalization(momentum=0.8, synchronized=synchronized, name="norm"),
            layers.ReLU(name="relu"),
            layers.DepthwiseConv2D(2, name="depthwise"),
            layers.Flatten(name="flatten"),
            layers.Dense(8, "relu", name="dense"),
            layers.Dense(4, name="head"),
        ]
    )


def _compiled(model: keras.Model) -> keras.Model:
    model.compile(
        keras.optimizers.SGD(0.02, momentum=0.5), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model


Way = Callable[[], tuple[keras.Model, list[Any]]]


def _pruned(**options: Any) -> Way:
    def make() -> tuple[keras.Model, list[Any]]:
        schedule = tfopt.pruning.PolynomialDecay(0.5, 5, frequency=2)
        return _compiled(_network()), [Pruning(schedule, **{"where": ".*", **options})]

    return make


def _quantized(**options: Any) -> Way:
    def make() -> tuple[keras.Model, list[Any]]:
        return _compiled(tfopt.quantize(_network(), X, tfopt.QuantConfig(**options))), []

    return make


def _ranged(**options: Any) -> Way:
    return _quantized(ranges=tfopt.Ranges(**{"momentum": 0.5, **options}))


def _distilled(losses: list[Any], teacher: Any = None) -> Way:
    def make() -> tuple[keras.Model, list[Any]]:
        student, own = _network(), _network()
        return _compiled(Distiller(student, teacher or own, losses)), []

    return make


def _attentive() -> keras.Model:
    layers = keras.layers
    inputs = keras.Input((6, 6, 2))
    tokens = layers.Dense(8, "relu")(layers.Reshape((6, 12))(inputs))
    mixed = layers.MultiHeadAttention(2, 4, name="attention")(tokens, tokens)
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(mixed)))


def _attention_maps() -> tuple[keras.Model, list[Any]]:
    return _compiled(Distiller(_attentive(), _attentive(), [td.AttentionMaps(["attention"])])), []


def _regressed() -> tuple[keras.Model, list[Any]]:
    nets = [keras.Sequential([_network(), keras.layers.Dense(1)]) for _ in range(2)]
    model = Distiller(*nets, [td.BoundedRegression()])
    model.compile(keras.optimizers.SGD(0.02, momentum=0.5), "mse")
    return model, []


def _exits() -> tuple[keras.Model, list[Any]]:
    layers = keras.layers
    inputs = keras.Input((6, 6, 2))
    hidden = layers.Dense(8, "relu")(layers.Flatten()(inputs))
    early, late = layers.Dense(4)(hidden), layers.Dense(4)(layers.Dense(8, "relu")(hidden))
    model = Distiller(
        keras.Model(inputs, {"early": early, "late": late}),
        td.SelfDistillation({"early": "late"}),
        [td.SoftTargets(from_logits=True)],
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.02, momentum=0.5), {"late": loss})
    return model, []


def _all_at_once() -> tuple[keras.Model, list[Any]]:
    student, teacher = _network(), _network()
    distiller = Distiller(tfopt.quantize(student, X), teacher, [SOFT])
    return _compiled(distiller), [Pruning(tfopt.pruning.ConstantSparsity(0.5), where=".*")]


SOFT = td.SoftTargets(from_logits=True)
OF_SAMPLES = [
    SOFT,
    td.LogitMSE(from_logits=True),
    td.DecoupledTargets(from_logits=True),
    td.OutputMatching(),
    td.FeatureMatching(["dense"]),
    td.HiddenStates(["depthwise"]),
    td.AttentionTransfer(["relu"]),
]
RIGL = tfopt.pruning.RigL(drop_fraction=0.3, end_step=8, frequency=2)
SET = tfopt.pruning.SET(drop_fraction=0.3, end_step=8, frequency=2)

WAYS: dict[str, Way] = {
    "2:4, taylor": _pruned(pattern="2:4", criterion="taylor", data=DATA),
    "1x4, fisher": _pruned(pattern="1x4", criterion="fisher", data=DATA),
    "channels, batch_norm, global": _pruned(
        where="conv$", pattern="channels", criterion="batch_norm", scope="global"
    ),
    "random, SET": _pruned(criterion="random", regrowth=SET),
    "2:4, SRSTE": _pruned(pattern="2:4", regrowth=tfopt.SRSTE(end_step=8, frequency=2)),
    "wanda, RigL": _pruned(criterion="wanda", regrowth=RIGL, data=DATA),
    "lamp, global": _pruned(criterion="lamp", scope="global"),
    "soft_threshold": _pruned(criterion="soft_threshold"),
    "clustering": lambda: (_compiled(_network()), [tfopt.Clustering(8)]),
    "moving_average, frozen": _ranged(freeze_step=4),
    "lsq, frozen": _ranged(observer="lsq", freeze_step=4),
    "pact, 4 bits": _quantized(ranges=tfopt.Ranges(observer="pact"), weight_bits=4),
    "delayed, batch norm frozen": _quantized(delay=2, freeze_batch_norm_step=4, activation_bits=16),
    "losses of samples": _distilled(OF_SAMPLES),
    "AttentionMaps": _attention_maps,
    "BoundedRegression": _regressed,
    "SelfDistillation": _exits,
    "loss of Keras": _distilled([keras.distillation.LogitsDistillation()]),
    "EMATeacher": _distilled([SOFT], td.EMATeacher(0.9)),
    "prune, quantize, distill": _all_at_once,
}


def _train(
    way: Way, strategy: tf.distribute.Strategy | None, inputs: Any = X
) -> tuple[keras.Model, dict[str, list[float]]]:
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    with contextlib.nullcontext() if strategy is None else strategy.scope():
        model, callbacks = way()
    labels = {"early": Y, "late": Y} if way is _exits else Y
    history = model.fit(inputs, labels, 32, epochs=3, shuffle=False, callbacks=callbacks, verbose=0).history
    return model, history


def _copies(variable: keras.Variable, strategy: tf.distribute.Strategy) -> list[np.ndarray]:
    return [np.asarray(copy) for copy in strategy.experimental_local_results(variable.value)]


@pytest.mark.slow
@pytest.mark.parametrize("name", WAYS)
def test_two_replicas_train_as_one(name: str) -> None:
    _two_train_as_one(WAYS[name])


@pytest.mark.slow
def test_a_cached_teacher_teaches_two_replicas_as_one(tmp_path: Path) -> None:
    """Each finds the outputs of its own samples."""
    keras.utils.set_random_seed(1)
    cache = tfopt.cache_teacher(_network(), X, tmp_path, verbose=0)
    _two_train_as_one(_distilled([SOFT], cache), cache.attach(X))


@pytest.mark.slow
def test_relations_between_samples_are_those_within_a_replica() -> None:
    losses = [td.DIST(from_logits=True), td.SimilarityPreserving(["dense"]), td.RelationalKD(["dense"])]
    found = []
    for strategy, batch in ((None, 16), (two_devices(), 32)):
        keras.utils.set_random_seed(0)
        dense = [keras.layers.Dense(8, "relu", name="dense"), keras.layers.Dense(4, name="head")]
        with contextlib.nullcontext() if strategy is None else strategy.scope():
            nets = [keras.Sequential([keras.Input((6, 6, 2)), keras.layers.Flatten(), *dense])]
            nets.append(keras.models.clone_model(nets[0]))
            model = Distiller(*nets, losses)
            # Nothing is learned, so that batches of half the size see the same weights.
            model.compile(
                keras.optimizers.SGD(0.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            )
        found.append(model.fit(X, Y, batch, shuffle=False, verbose=0).history["distillation_loss"])
    np.testing.assert_allclose(*found, rtol=1e-5)


def _two_train_as_one(way: Way, inputs: Any = X) -> None:
    strategy = two_devices()
    _, alone = _train(way, None, inputs)
    model, shared = _train(way, strategy, inputs)
    for key in alone:
        # Where a loss of 0.001 is the difference of terms of the order of 1, it has their rounding errors.
        np.testing.assert_allclose(shared[key], alone[key], rtol=1e-5, atol=5e-7, err_msg=key)
    for variable in model.variables:
        first, second = _copies(variable, strategy)
        np.testing.assert_array_equal(second, first, err_msg=variable.path)


@pytest.mark.slow
def test_a_training_goes_on_with_another_number_of_replicas(tmp_path: Path) -> None:
    """From a file: masks, ranges and the place in the schedule are those of one replica all the way."""

    def run(first: bool, then: bool) -> list[np.ndarray]:
        strategy = two_devices()
        scopes = [strategy.scope() if two else contextlib.nullcontext() for two in (first, then)]
        keras.utils.set_random_seed(0)
        with scopes[0]:
            layers = [keras.layers.Flatten(), keras.layers.Dense(8, "relu"), keras.layers.Dense(4)]
            model = _compiled(tfopt.quantize(keras.Sequential([keras.Input((6, 6, 2)), *layers]), X))
        for begin, end in ((0, 2), (2, 4)):
            options = {"initial_epoch": begin, "epochs": end, "shuffle": False, "verbose": 0}
            model.fit(
                X, Y, 32, callbacks=[Pruning(lambda step: 0.1 * min(step // 2, 5), where=".*")], **options
            )
            if end == 2:
                model.save(tmp_path / "model.keras")
                with scopes[1]:
                    model = keras.models.load_model(tmp_path / "model.keras")
        return [np.array(weight) for weight in model.get_weights()]

    alone = run(False, False)
    for ways in ((True, False), (False, True)):
        for one, other in zip(run(*ways), alone, strict=True):
            np.testing.assert_array_equal(one == 0, other == 0)
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=5e-7)


@pytest.mark.slow
@pytest.mark.parametrize("quantized", [True, False])
def test_statistics_of_batch_norm_are_those_of_all_replicas(quantized: bool, tmp_path: Path) -> None:
    """Keras leaves each replica its own: `predict` would use both, a file one of them."""
    strategy = two_devices()
    with strategy.scope():
        model = _network(synchronized=False)
        model = _compiled(tfopt.quantize(model, X) if quantized else model)
    callbacks = [] if quantized else [Pruning(tfopt.pruning.ConstantSparsity(0.5))]
    model.fit(X, Y, 32, shuffle=False, callbacks=callbacks, verbose=0)
    for variable in model.variables:
        first, second = _copies(variable, strategy)
        np.testing.assert_array_equal(second, first, err_msg=variable.path)
    path = tmp_path / "model.tflite"
    tfopt.export(model, path)
    assert tfopt.verify(model, path, X).passed
    if quantized:
        np.testing.assert_array_equal(model.predict(X, verbose=0), on_batch(model)(X))


def test_tools_read_the_mean_of_the_replicas() -> None:
    """Of a network that was trained with Keras alone."""
    strategy = two_devices()
    with strategy.scope():
        model = keras.Sequential(
            [keras.Input((2,)), keras.layers.BatchNormalization(), keras.layers.Dense(2)]
        )
    mean = model.layers[0].moving_mean
    replica = tf.distribute.get_replica_context
    strategy.run(lambda: mean.assign(tf.fill([2], tf.cast(replica().replica_id_in_sync_group, tf.float32))))
    assert [copy.tolist() for copy in _copies(mean, strategy)] == [[0.0, 0.0], [1.0, 1.0]]
    tfopt.quantize(model, np.ones((4, 2), "float32"))
    assert [copy.tolist() for copy in _copies(mean, strategy)] == [[0.5, 0.5], [0.5, 0.5]]
