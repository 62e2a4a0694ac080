"""Losses over features: what they compute, what they cost the models, projections, every way to run."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfopt
import tfopt.distillation as td
from tests.models import IMAGE
from tests.strategies import two_devices


def network(filters=4, name=None, activation="softmax"):
    return keras.Sequential(
        [
            keras.Input(IMAGE),
            layers.Conv2D(filters, 3, padding="same", use_bias=False, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(3, activation, name="head"),
        ],
        name=name,
    )


def data(count=32):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, *IMAGE)).astype("float32"), rng.integers(0, 3, count)


def distilled(student, teacher, losses, settings=None, **fit):
    x, y = data()
    distiller = td.Distiller(student, teacher, losses)
    settings = settings or {"run_eagerly": True}  # a few steps: tracing takes longer than running
    distiller.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", **settings)
    logs = distiller.fit(x, y, batch_size=16, shuffle=False, verbose=0, **fit).history
    return distiller, logs


def test_reading_features_leaves_the_model_as_it_is(tmp_path):
    student, teacher = network(), network(8)
    output = student.get_layer("conv").output
    distilled(student, teacher, [td.FeatureMatching(["conv"])])
    assert student.get_layer("conv").output is output
    assert all("call" not in vars(layer) for model in (student, teacher) for layer in model.layers)
    student.save(tmp_path / "student.keras")
    assert keras.models.load_model(tmp_path / "student.keras").count_params() == network().count_params()


def test_feature_loss_equals_numpy_and_both_models_run_once():
    student, teacher = network(), network(4)
    x, y = data()
    loss = td.FeatureMatching([("relu", "conv"), "pool"], weight=0.5)
    read = {"relu": -3, "conv": 0, "pool": -2}
    extract = {
        (model.name, layer): keras.Model(model.inputs[0], model.layers[i].output)
        for model in (student, teacher)
        for layer, i in read.items()
    }
    s = {layer: np.array(extract[student.name, layer](x, training=True)) for layer in read}
    t = {layer: np.array(extract[teacher.name, layer](x)) for layer in read}
    expected = 0.5 * (((t["relu"] - s["conv"]) ** 2).mean() + ((t["pool"] - s["pool"]) ** 2).mean())
    distiller = td.Distiller(student, teacher, [loss])
    distiller.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", run_eagerly=True)
    logs = distiller.train_on_batch(x, y, return_dict=True)
    np.testing.assert_allclose(logs["distillation_loss"], expected, rtol=1e-4)
    assert len(distiller.trainable_variables) == len(student.trainable_variables)


def test_a_branch_on_training_is_the_students_own():
    """Running the captured graph would take the inference branch."""

    class TrainingOnly(layers.Layer):
        def call(self, x, training=None):
            return 3.0 * x if training else x

    inputs = keras.Input((4,))
    outputs = layers.Dense(2, name="dense")(TrainingOnly(name="branch")(inputs))
    student = keras.Model(inputs, outputs)
    teacher = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="branch"), layers.Dense(2)])
    teacher.set_weights([np.zeros(w.shape) for w in teacher.get_weights()])
    distiller = td.Distiller(student, teacher, [td.FeatureMatching(["branch"])])
    distiller.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    logs = distiller.train_on_batch(np.ones((2, 4)), np.ones((2, 2)), return_dict=True)
    np.testing.assert_allclose(logs["distillation_loss"], 9.0, rtol=1e-6)


def test_projections_are_trained_saved_and_not_the_students(tmp_path):
    student, teacher = network(4), network(8)
    losses = [td.SoftTargets(), td.FeatureMatching(["relu", "pool"])]
    distiller, _ = distilled(student, teacher, losses)
    assert [tuple(p.kernel.shape) for p in distiller.projections.values()] == [(4, 8), (4, 8)]
    before = [np.array(p.kernel) for p in distiller.projections.values()]
    x, y = data()
    distiller.fit(x, y, batch_size=16, shuffle=False, verbose=0)
    after = [np.array(p.kernel) for p in distiller.projections.values()]
    assert all(np.abs(a - b).max() > 1e-5 for a, b in zip(before, after, strict=True))
    assert student.count_params() == network(4).count_params()
    assert type(distiller.student) is keras.Sequential

    distiller.save(tmp_path / "d.keras")
    loaded = keras.models.load_model(tmp_path / "d.keras")
    for a, b in zip(after, loaded.projections.values(), strict=True):
        np.testing.assert_array_equal(a, b.kernel)
    expected = distiller.fit(x, y, shuffle=False, verbose=0).history
    resumed = loaded.fit(x, y, shuffle=False, verbose=0).history
    for name, values in expected.items():
        np.testing.assert_allclose(resumed[name], values, rtol=1e-5, err_msg=name)


def test_pruning_leaves_projections_alone():
    student, teacher = network(4), network(8)
    pruning = tfopt.Pruning(tfopt.ConstantSparsity(0.5))
    distiller, _ = distilled(student, teacher, [td.FeatureMatching(["pool"])], callbacks=[pruning])
    assert np.mean(np.array(student.get_layer("conv").kernel) == 0) >= 0.5
    assert (np.array(distiller.projections["0_0"].kernel) != 0).all()


@pytest.mark.parametrize(
    "loss",
    [
        td.FeatureMatching([("relu", "norm")]),
        td.AttentionTransfer(["relu"]),
        td.SimilarityPreserving(["pool"]),
        td.RelationalKD(["pool"]),
        td.HiddenStates(["pool"]),
    ],
    ids=lambda loss: type(loss).__name__,
)
@pytest.mark.parametrize(
    "settings",
    [
        {"jit_compile": False},
        pytest.param({"jit_compile": True}, marks=pytest.mark.slow),
        pytest.param({"steps_per_execution": 2}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_every_feature_loss_trains(loss, settings):
    _, logs = distilled(network(4), network(8), [loss], settings, epochs=2)
    assert 0 < logs["distillation_loss"][1] < logs["distillation_loss"][0]


def test_features_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        student = network(4)
    finally:
        keras.config.set_dtype_policy("float32")
    losses = [td.FeatureMatching(["relu"]), td.AttentionTransfer(["relu"]), td.SimilarityPreserving(["pool"])]
    _, logs = distilled(student, network(8), losses, epochs=2)
    assert np.isfinite(list(logs.values())).all()


def test_features_under_two_devices_equal_one():
    x, y = data()
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
    start = None

    def run(strategy):
        nonlocal start
        with strategy.scope():
            keras.utils.set_random_seed(1)
            dense = [layers.Dense(4, "relu", name="hidden"), layers.Dense(3, "softmax")]
            student = keras.Sequential([keras.Input(IMAGE), layers.Flatten(), *dense])
            wide = [layers.Dense(6, "relu", name="hidden"), layers.Dense(3, "softmax")]
            teacher = keras.Sequential([keras.Input(IMAGE), layers.Flatten(), *wide])
            distiller = td.Distiller(student, teacher, [td.FeatureMatching(["hidden"])])
            start = start or [distiller.get_weights(), teacher.get_weights()]
            distiller.set_weights(start[0])
            teacher.set_weights(start[1])
            distiller.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        logs = distiller.fit(batches, shuffle=False, verbose=0, epochs=2).history
        return logs, distiller.get_weights()

    one, two = run(tf.distribute.get_strategy()), run(two_devices())
    for name in one[0]:
        np.testing.assert_allclose(two[0][name], one[0][name], rtol=1e-4)
    for a, b in zip(one[1], two[1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_sample_weights_and_masks_apply_to_features():
    def tagger(units):
        stack = [layers.Embedding(10, units, mask_zero=True, name="states"), layers.Dense(3, "softmax")]
        return keras.Sequential([keras.Input((5,), dtype="int32"), *stack])

    x = np.array([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0]])
    student, teacher = tagger(4), tagger(4)
    t, s = (np.array(model.layers[0](x)) for model in (teacher, student))
    for weight in (np.ones(2), np.array([0.0, 2.0])):
        distiller = td.Distiller(student, teacher, [td.HiddenStates(["states"])])
        distiller.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", run_eagerly=True)
        logs = distiller.fit(x, np.zeros((2, 5)), verbose=0).history
        kept = x > 0
        np.testing.assert_allclose(logs["distillation_loss"], ((t - s) ** 2).mean(-1)[kept].mean(), rtol=1e-4)
        got = td.HiddenStates(["states"]).compare([t], [s], weight)
        np.testing.assert_allclose(got, (((t - s) ** 2).mean(-1) * weight[:, None]).mean(), rtol=1e-5)


def transformer(heads, width):
    tokens = keras.Input((6,), dtype="int32")
    x = layers.Embedding(20, width, name="embedding")(tokens)
    for i in range(2):
        y = layers.MultiHeadAttention(heads, 4, name=f"attention_{i}")(x, x)
        x = layers.LayerNormalization(name=f"block_{i}")(x + y)
    return keras.Model(tokens, layers.Dense(3, "softmax")(layers.GlobalAveragePooling1D()(x)))


def test_tinybert_losses_on_transformers():
    x, y = np.random.default_rng(0).integers(0, 20, (32, 6)), np.arange(32) % 3
    losses = [
        td.HiddenStates(["embedding", ("block_1", "block_0")]),
        td.AttentionMaps([("attention_1", "attention_0")]),
        td.SoftTargets(2.0),
    ]
    student, teacher = transformer(1, 8), transformer(2, 12)
    distiller = td.Distiller(student, teacher, losses)
    distiller.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", run_eagerly=True)
    logs = distiller.fit(x, y, epochs=4, verbose=0).history
    assert logs["distillation_loss"][-1] < logs["distillation_loss"][0]
    assert len(distiller.projections) == 2
    assert all(projection.bias is None for projection in distiller.projections.values())


def test_features_of_teachers_without_layers_are_refused():
    loss = [td.FeatureMatching(["conv"])]
    with pytest.raises(
        ValueError, match=r"reads the layers \['conv'\] of the teacher, but a function has no"
    ):
        td.Distiller(network(), lambda x: x, loss)
    with pytest.raises(ValueError, match=r"but a list has no layers to read"):
        td.Distiller(network(), [network(), network()], loss)


def test_positions_that_differ_are_refused_at_construction():
    with pytest.raises(
        ValueError, match=r"FeatureMatching compares .*\(None, 8, 8, 4\).*Choose other layers"
    ):
        td.Distiller(network(), network(), [td.FeatureMatching([("conv", "pool")])])
