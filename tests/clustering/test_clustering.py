"""The Clustering callback in `fit`: few values at the end, whatever trains the model, and nothing else changed."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfopt
from tests.distillation.models import classifier
from tests.strategies import two_devices
from tfopt.clustering import Clustering, HalvingClusters

LOSS = "sparse_categorical_crossentropy"


def net(constraint=None):
    """A convolution with a batch norm, a depthwise one, and a head."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, name="conv", kernel_constraint=constraint),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.Flatten(),
            layers.Dense(4, "softmax", name="head"),
        ],
        name="net",
    )


def compiled(model, optimizer="adam", **kwargs):
    model.compile(keras.optimizers.get(optimizer), LOSS, **kwargs)
    return model


def kernels(model):
    return {w.path.split("/")[-2]: np.array(w) for w in model.trainable_weights if len(w.shape) > 1}


def values_of(array):
    return len(np.unique(array))


SLOW = pytest.mark.slow
BY_DEFAULT = ("plain", "centroid gradients of codes")
WAYS = {
    "plain": ({}, {}, {}),
    "eager": ({}, {"run_eagerly": True}, {}),
    "XLA": ({}, {"jit_compile": True}, {}),
    "steps_per_execution": ({}, {"steps_per_execution": 3}, {}),
    "weight decay": ({}, {}, {"optimizer": lambda: keras.optimizers.AdamW(1e-3, weight_decay=0.1)}),
    "accumulation": ({}, {}, {"optimizer": lambda: keras.optimizers.Adam(gradient_accumulation_steps=2)}),
    "centroid gradients": ({"gradient": "centroid"}, {}, {}),
    "centroid gradients of codes": ({"gradient": "centroid", "domain": "code"}, {}, {}),
    "halving": ({"n_clusters": HalvingClusters(8, end_step=12, initial_clusters=32)}, {}, {}),
    "a function": ({"n_clusters": lambda step: None if step < 2 else 8}, {}, {}),
}


@pytest.mark.parametrize(
    ("options", "compiling", "made"),
    [pytest.param(*way, id=name, marks=[] if name in BY_DEFAULT else SLOW) for name, way in WAYS.items()],
)
def test_few_values_at_the_end(blobs, tmp_path, options, compiling, made):
    optimizer = made["optimizer"]() if made else "adam"
    model = compiled(net(), optimizer, **compiling)
    clustering = Clustering(**{"n_clusters": 8, **options})
    before = kernels(model)
    saved = keras.callbacks.ModelCheckpoint(tmp_path / "epoch_{epoch}.keras")
    logs = model.fit(*blobs, batch_size=32, epochs=2, verbose=0, callbacks=[clustering, saved]).history
    assert logs["n_clusters"][-1] == 8
    assert (
        logs["loss"][-1] < 1.5
    )  # it trains: four classes at random cost 1.39 at best, this net begins above 1.6
    assert all(weight.constraint is None for weight in model.trainable_weights)
    for path in (None, tmp_path / "epoch_2.keras"):
        found = kernels(keras.models.load_model(path) if path else model)
        for name, kernel in found.items():
            assert np.abs(kernel - before[name]).max() > 0
            if options.get("domain") == "code":
                channels = (-2, -1) if name == "depthwise" else (-1,)
                largest = np.abs(kernel).max(
                    tuple(a for a in range(kernel.ndim) if a - kernel.ndim not in channels)
                )
                kernel = np.round(kernel / largest.reshape(kernel.shape[-len(channels) :]) * 127)
            assert values_of(kernel) <= 8, name
    rows = {row.path.split("/")[-1]: row for row in clustering.report.layers}
    assert {name: row.values <= 8 for name, row in rows.items() if row.values} == dict.fromkeys(found, True)


@SLOW
def test_channels_have_values_of_their_own(blobs):
    model = compiled(net())
    clustering = Clustering(5, granularity="channel")
    model.fit(*blobs, batch_size=64, verbose=0, callbacks=[clustering])
    for name, kernel in kernels(model).items():
        per_channel = kernel.reshape(
            -1, np.prod(kernel.shape[-2:]) if name == "depthwise" else kernel.shape[-1]
        )
        assert max(values_of(column) for column in per_channel.T) <= 5
        assert values_of(kernel) > 5
    assert "values, each of 8 channels" in " ".join(str(clustering.report).split())


@pytest.mark.parametrize(
    "options",
    [{}, {"gradient": "centroid"}, {"domain": "code"}],
)
@SLOW
def test_zeros_stay_zero(blobs, options):
    model = compiled(net())
    conv = model.get_layer("conv").kernel
    zeros = np.random.default_rng(0).uniform(size=conv.shape) < 0.6
    conv.assign(np.where(zeros, 0, np.array(conv)))
    model.fit(*blobs, batch_size=32, verbose=0, callbacks=[Clustering(8, **options)])
    assert (np.array(conv)[zeros] == 0).all() and np.any(np.array(conv) != 0)


@pytest.mark.parametrize("first", ["clustering", pytest.param("pruning", marks=SLOW)])
@pytest.mark.parametrize("gradient", ["straight_through", pytest.param("centroid", marks=SLOW)])
def test_pruning_in_the_same_fit(blobs, first, gradient):
    model = compiled(net(constraint=keras.constraints.MaxNorm(3.0)))
    clustering = Clustering(8, gradient=gradient)
    pruning = tfopt.Pruning(tfopt.PolynomialDecay(0.75, end_step=10, frequency=2), where="conv|head")
    callbacks = [clustering, pruning] if first == "clustering" else [pruning, clustering]
    model.fit(*blobs, batch_size=32, epochs=2, verbose=0, callbacks=callbacks)
    found = kernels(model)
    for name in ("conv", "head"):
        assert (found[name] == 0).mean() >= 0.75 - 1e-6
    # Weights that are no longer pruned by any mask are the ones that the report counts.
    assert abs(pruning.report.sparsity - 0.75) < 0.2
    assert all(values_of(kernel) <= 8 for kernel in found.values())
    assert isinstance(model.get_layer("conv").kernel.constraint, keras.constraints.MaxNorm)
    assert model.get_layer("head").kernel.constraint is None


@SLOW
def test_a_distilled_student_is_clustered_and_the_teacher_is_not(blobs):
    student, teacher = classifier(), classifier(16)
    before = kernels(teacher)
    distiller = tfopt.Distiller(student, teacher)
    compiled(distiller).fit(*blobs, batch_size=32, verbose=0, callbacks=[Clustering(8)])
    assert all(values_of(kernel) <= 8 for kernel in kernels(student).values())
    assert all((kernels(teacher)[name] == kernel).all() for name, kernel in before.items())


@pytest.mark.parametrize("gradient", ["straight_through", "centroid"])
@SLOW
def test_replicas_agree(blobs, gradient):
    strategy = two_devices()
    with strategy.scope():
        model = compiled(net())
    model.fit(*blobs, batch_size=32, epochs=2, verbose=0, callbacks=[Clustering(8, gradient=gradient)])
    for weight in model.trainable_weights:
        copies = [np.array(one) for one in strategy.experimental_local_results(weight.value)]
        np.testing.assert_array_equal(*copies)
        assert len(weight.shape) == 1 or values_of(copies[0]) <= 8


@pytest.mark.parametrize("places", [(0, 1), (1, 0)])
@SLOW
def test_restored_weights_are_clustered(blobs, places):
    """Weights that another callback restores or averages at the end, before or after this one ends."""
    model = compiled(net())
    best = keras.callbacks.EarlyStopping("loss", mode="max", restore_best_weights=True)
    callbacks = [Clustering(8, domain="code"), best]
    model.fit(*blobs, batch_size=64, epochs=2, verbose=0, callbacks=[callbacks[place] for place in places])
    clustering = callbacks[0]
    assert all(row.values <= 8 for row in clustering.report.layers if row.values)


class Adversarial(keras.Model):
    """Two optimizers, and one given to `compile` that moves nothing."""

    def __init__(self):
        super().__init__()
        self.first, self.second = layers.Dense(8, name="first"), layers.Dense(8, name="second")
        self.optimizers = [keras.optimizers.SGD(0.01), keras.optimizers.Adam(0.01)]

    def call(self, x):
        return self.second(self.first(layers.Flatten()(x)))

    def train_step(self, data):
        x, _ = data
        with tf.GradientTape(persistent=True) as tape:
            loss = keras.ops.mean(keras.ops.square(self(x)))
        for layer, optimizer in zip((self.first, self.second), self.optimizers, strict=True):
            weights = layer.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"loss": loss}


def test_a_schedule_goes_on_where_the_models_optimizer_does_not_step(blobs):
    model = Adversarial()
    model(blobs[0][:1])
    model.compile(run_eagerly=True)
    schedule = HalvingClusters(8, end_step=6, initial_clusters=32)
    logs = model.fit(*blobs, batch_size=32, epochs=2, verbose=0, callbacks=[Clustering(schedule)]).history
    assert logs["n_clusters"] == [8, 8]
    assert all(values_of(kernel) <= 8 for kernel in kernels(model).values())


class LinearUnit(keras.Model):
    """y = x * w: the gradient of each weight is what the test says."""

    def __init__(self, start):
        super().__init__()
        self.w = self.add_weight(shape=start.shape, initializer=lambda *a, **k: start, name="kernel")
        self.built = True

    def call(self, x):
        return keras.ops.sum(x * self.w, axis=(1, 2))[:, None]


START = np.array([[-1.0, -0.9, 0.5, 0.6, 2.0, 2.2, 0.0, 0.05]], "float32")
PUSH = np.array([[0.1, 0.3, -0.2, 0.0, 0.5, -0.1, 0.2, 0.2]], "float32")


def one_step(gradient, steps=1):
    """The weight after SGD steps of rate 1 whose gradient is `-PUSH`, not settled."""
    model = LinearUnit(START)
    model.compile(keras.optimizers.SGD(1.0), lambda y, p: -p, run_eagerly=True)
    clustering = Clustering(4, where=lambda layer: True, gradient=gradient, start="linear")
    clustering.set_model(model)
    clustering.set_params({"steps": steps})
    clustering.on_train_begin()
    clustering.on_epoch_begin(0)
    first = np.array(model.w)
    for _ in range(steps):
        model.train_on_batch(PUSH[None], np.zeros((1, 1)))
    return first, np.array(model.w)


def test_centroids_move_by_the_mean_of_their_members_gradients():
    first, then = one_step("centroid")
    np.testing.assert_allclose(first, [[-0.95, -0.95, 0.55, 0.55, 2.1, 2.1, 0, 0]], rtol=1e-6)
    np.testing.assert_allclose(then, [[-0.75, -0.75, 0.45, 0.45, 2.3, 2.3, 0, 0]], rtol=1e-5)


def test_straight_through_weights_change_their_cluster():
    first, then = one_step("straight_through")
    full = START + PUSH  # what plain SGD makes of the weights; what began at zero stays
    full[0, 6] = 0
    centroids = np.unique(first)
    index = np.abs(full[..., None] - centroids).argmin(-1)
    expected = np.array([full[index == i].mean() if c else 0 for i, c in enumerate(centroids)])[index]
    expected[0, 6] = 0
    np.testing.assert_allclose(then, expected, rtol=1e-5)
    # 0.05 + 5 * 0.2 leaves zero after some steps: its motion out of sight is not lost.
    assert one_step("straight_through", 5)[1][0, 7] > 0.5
    assert one_step("centroid", 5)[1][0, 7] == 0


ERRORS = [
    (lambda: Clustering(2), ValueError, r"'n_clusters' argument of Clustering .* at least 3.* Got 2"),
    (lambda: Clustering(16.0), TypeError, r"'n_clusters' argument .* whole number. Got 16.0"),
    (lambda: Clustering(granularity="row"), ValueError, r"'granularity' .*'channel', 'tensor'.* Got 'row'"),
    (lambda: Clustering(domain="bits"), ValueError, r"'domain' argument of Clustering .* Got 'bits'"),
    (
        lambda: Clustering(start="pca"),
        ValueError,
        r"'start' argument of Clustering .*'kmeans\+\+'.* Got 'pca'",
    ),
    (lambda: Clustering(gradient="sum"), ValueError, r"'gradient' argument of Clustering .* Got 'sum'"),
    (
        lambda: HalvingClusters(16, 9, 8),
        ValueError,
        r"'initial_clusters' .* at least final_clusters=16. Got 8",
    ),
    (lambda: HalvingClusters(16, 0), ValueError, r"'end_step' .* above begin_step=0"),
    (lambda: Clustering().report, ValueError, r"'report' of Clustering is made in fit"),
    (lambda: Clustering().on_epoch_begin(0), ValueError, r"no clusters outside of fit"),
]


@pytest.mark.parametrize(("make", "error", "message"), ERRORS)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_what_fit_refuses(blobs):
    model = compiled(net(), run_eagerly=True)
    with pytest.raises(
        ValueError, match=r"no weight to cluster in model 'net'\. net/conv: its kernel holds 72 numb"
    ):
        model.fit(*blobs, batch_size=64, verbose=0, callbacks=[Clustering(5000)])
    with pytest.raises(ValueError, match=r"'n_clusters' .* does not grow. Got 32 at step"):
        model.fit(
            *blobs, batch_size=64, verbose=0, callbacks=[Clustering(lambda step: 16 if step < 2 else 32)]
        )
    with pytest.raises(ValueError, match=r"two Clustering callbacks .* 'net/conv/kernel'|'conv/kernel'"):
        model.fit(*blobs, batch_size=64, verbose=0, callbacks=[Clustering(), Clustering()])
    with pytest.warns(UserWarning, match=r"ended at step \d+, .* 32 clusters instead of 16"):
        late = HalvingClusters(16, end_step=100, initial_clusters=32)
        model.fit(*blobs, batch_size=32, verbose=0, callbacks=[Clustering(late)])
    assert all(weight.constraint is None for weight in model.trainable_weights)
