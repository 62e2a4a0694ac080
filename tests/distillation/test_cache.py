"""Distilling from a teacher cache: the same run as online, every form of data, stale caches."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfopt
import tfopt.distillation as td
from tests.distillation.models import assert_same_run, classifier, two_heads

FIT = {"batch_size": 32, "verbose": 0}


def make(teacher, data, tmp_path, **options):
    return td.cache_teacher(teacher, data, tmp_path / "cache", verbose=0, **options)


def fitted(teacher, x, y, losses=None, student=None, eagerly=False, **fit):
    """The logs and weights of a run from fixed weights."""
    keras.utils.set_random_seed(3)
    distiller = td.Distiller(student or classifier(), teacher, losses)
    distiller.compile(
        keras.optimizers.SGD(0.1),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        run_eagerly=eagerly,
    )
    logs = distiller.fit(x, y, **{**FIT, "epochs": 2, **fit}).history
    return logs, distiller.student.get_weights()


def test_a_cached_run_is_the_online_run(blobs, tmp_path):
    """Arrays, shuffled, with sample weights, validation split, features and a projection."""
    x, y = blobs
    teacher = classifier(16)
    layer = teacher.layers[1].name
    cache = make(teacher, x, tmp_path, features=[layer])
    assert len(cache) == len(x)
    student = classifier()
    losses = [td.SoftTargets(2.0), td.FeatureMatching([(layer, student.layers[1].name)])]
    start = student.get_weights()
    options = {"sample_weight": np.linspace(0, 2, len(x)), "shuffle": True, "validation_split": 0.25}
    online = fitted(teacher, x, y, losses, student, **options)
    student.set_weights(start)
    cached = fitted(cache, cache.attach(x), y, losses, student, **options)
    assert_same_run(cached, online)


class Batches(keras.utils.PyDataset):
    """Batches in a new order every epoch, as `on_epoch_end` of many a data set does it."""

    def __init__(self, x, y, weight=None, shuffle=False):
        super().__init__()
        self.x, self.y, self.weight, self.shuffle = x, y, weight, shuffle
        self.order = np.arange(len(x))

    def __len__(self):
        return -(-len(self.x) // 32)

    def __getitem__(self, index):
        rows = self.order[32 * index : 32 * (index + 1)]
        parts = (self.x[rows], self.y[rows]) + (() if self.weight is None else (self.weight[rows],))
        return parts

    def on_epoch_end(self):
        if self.shuffle:
            self.order = np.random.default_rng(0).permutation(self.order)


def data_sets(x, y, weight):
    everything = tf.data.Dataset.from_tensor_slices((x, y, weight))
    shuffled = everything.shuffle(256, seed=1)
    return {
        "tf.data": (everything.batch(32), {}),
        "tf.data, shuffled before": (shuffled.batch(32), {}),
        "tf.data, attached to samples": (shuffled, {"then": lambda data: data.batch(32)}),
        "tf.data, shuffled after": (
            everything.batch(32),
            {"then": lambda data: data.unbatch().shuffle(256, seed=1).batch(32)},
        ),
        "PyDataset": (Batches(x, y, weight, shuffle=True), {}),
    }


@pytest.mark.parametrize("name", list(data_sets(np.ones((1, 1)), np.ones(1), np.ones(1))))
def test_data_sets_of_every_kind(blobs, tmp_path, name):
    x, y = blobs[0][:100], blobs[1][:100]
    teacher, weight = classifier(16), np.linspace(0, 2, 100).astype("float32")
    cache = make(teacher, Batches(x, y) if name == "PyDataset" else x, tmp_path)
    data, options = data_sets(x, y, weight)[name]
    attached = options.get("then", lambda data: data)(cache.attach(data))
    taught = {}
    for (batch, _, w), _ in zip(attached, range(4), strict=False):
        inputs, entries = td._attached.split_attached(batch)
        np.testing.assert_allclose(entries["output_0"], teacher(np.array(inputs)), atol=1e-6)
        taught.update(zip(map(bytes, map(np.array, inputs)), np.array(w), strict=True))
    assert len(taught) == 100
    assert taught == dict(zip(map(bytes, x), weight, strict=True))
    # repeat: Keras warns at the end of a tf.data.Dataset of unknown length, cached or not.
    endless = attached.repeat() if isinstance(attached, tf.data.Dataset) else attached
    logs, _ = fitted(cache, endless, None, batch_size=None, eagerly=True, shuffle=False, steps_per_epoch=4)
    assert np.isfinite(list(logs.values())).all()


def test_data_without_labels_and_of_several_inputs(tmp_path):
    rng = np.random.default_rng(0)
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    teacher = keras.Model({"a": a, "b": b}, layers.Dense(4, "softmax")(layers.Concatenate()([a, b])))
    x = {"a": rng.normal(size=(40, 3)).astype("float32"), "b": rng.normal(size=(40, 2)).astype("float32")}
    cache = make(teacher, x, tmp_path)
    student = keras.models.clone_model(teacher)
    distiller = td.Distiller(student, cache)
    distiller.compile("sgd", run_eagerly=True)
    assert distiller.fit(cache.attach(x), **FIT).history["loss"][0] > 0
    data = tf.data.Dataset.from_tensor_slices(x).batch(8)
    assert distiller.fit(cache.attach(data), verbose=0, shuffle=False).history["loss"][0] > 0


def test_several_outputs_and_an_ensemble(blobs, tmp_path):
    x = blobs[0][:64]
    teachers = [two_heads(16), two_heads(8)]
    cache = make(teachers, x, tmp_path)
    distiller = td.Distiller(two_heads(6), cache)
    distiller.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    online = td.Distiller(distiller.student, teachers)
    online.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    expected = online.fit(x, shuffle=False, **FIT).history
    got = distiller.fit(cache.attach(x), shuffle=False, **FIT).history
    np.testing.assert_allclose(got["distillation_loss"], expected["distillation_loss"], rtol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"jit_compile": True}, marks=pytest.mark.slow),
        {"steps_per_execution": 4},
        pytest.param({"run_eagerly": True}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_ways_to_run_fit(blobs, tmp_path, settings):
    x, y = blobs
    cache = make(classifier(16), x, tmp_path, top_k=2)
    distiller = td.Distiller(classifier(), cache)
    distiller.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", **settings)
    logs = distiller.fit(cache.attach(x), y, validation_data=(x, y), epochs=2, **FIT).history
    assert logs["distillation_loss"][1] < logs["distillation_loss"][0]
    assert set(logs) == {"loss", "student_loss", "distillation_loss", "val_loss"}
    np.testing.assert_allclose(distiller.predict(x[:8], verbose=0), distiller.student(x[:8]), atol=1e-5)


def test_a_distiller_with_a_cache_saves_and_resumes(blobs, tmp_path):
    x, y = blobs[0][:64], blobs[1][:64]
    cache = make(classifier(16), x, tmp_path)
    distiller = td.Distiller(classifier(), cache)
    distiller.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", run_eagerly=True)
    distiller.fit(cache.attach(x), y, shuffle=False, **FIT)
    distiller.save(tmp_path / "d.keras")
    loaded = keras.models.load_model(tmp_path / "d.keras")
    runs = [
        (one.fit(one.teacher.attach(x), y, shuffle=False, **FIT).history, one.student.get_weights())
        for one in (distiller, loaded)
    ]
    assert_same_run(*runs, tolerance=1e-6)


def test_stale_caches_are_refused(blobs, tmp_path):
    x, y = blobs
    teacher = classifier(16)
    cache = make(teacher, x, tmp_path)
    cache.check_teacher(teacher)
    changed = x.copy()
    changed[200, 0, 0, 0] += 1
    for data, where in ((changed, 192), (x[:100], "96|100"), (np.concatenate([x, changed[200:201]]), 256)):
        with pytest.raises(ValueError, match=rf"stale: .* other data, which differs from sample ({where})"):
            make(teacher, data, tmp_path)
    with pytest.raises(ValueError, match=r"stale: .* made with another top_k. Pass another directory"):
        make(teacher, x, tmp_path, top_k=2)
    with pytest.raises(ValueError, match=r"stale for this data: .* not seen 1 of 256 samples, .* number 200"):
        cache.attach(changed)
    attached = cache.attach(tf.data.Dataset.from_tensor_slices((changed, y)).batch(32))
    with pytest.raises(tf.errors.OpError, match="not seen 1 of 32 samples"):
        list(attached)
    teacher.layers[1].kernel.assign_add(1e-6 * np.ones((64, 16)))
    with pytest.raises(ValueError, match=r"stale: .* made with another teacher \(its layers or weights\)"):
        make(teacher, x, tmp_path)
    with pytest.raises(ValueError, match=r"is stale: it was made by a teacher with other layers or weights"):
        cache.check_teacher(teacher)
    with pytest.raises(ValueError, match=r"'directory' argument of TeacherCache .* no manifest"):
        td.TeacherCache(tmp_path)


def test_augmentation_with_fixed_seeds_is_cached_like_any_data(blobs, tmp_path):
    def epoch(seed):
        noise = tf.random.stateless_normal((256, 8, 8, 1), (seed, 0))
        return tf.data.Dataset.from_tensor_slices((blobs[0] + noise, blobs[1])).batch(32)

    cache = make(classifier(16), epoch(0).concatenate(epoch(1)), tmp_path)
    assert len(cache) == 512
    for seed in (1, 0):
        logs, _ = fitted(
            cache, cache.attach(epoch(seed)), None, batch_size=None, eagerly=True, shuffle=False, epochs=1
        )
        assert np.isfinite(list(logs.values())).all()


def test_what_the_distiller_asks_of_a_cache(blobs, tmp_path):
    x, y = blobs
    cache = make(classifier(16), x, tmp_path)
    with pytest.raises(
        ValueError, match=r"reads the layers \['dense'\] of the teacher, which the cache .* features=\["
    ):
        td.Distiller(classifier(), cache, [td.FeatureMatching(["dense"])])
    with pytest.raises(ValueError, match=r"from_logits=True, but the teacher .* ends in 'softmax'"):
        td.Distiller(classifier(activation=None), cache, [td.SoftTargets(from_logits=True)])
    with pytest.raises(ValueError, match=r"SoftTargets compares .* \(None, 4\) from the teacher and a: "):
        td.Distiller(two_heads(4), cache)
    distiller = td.Distiller(classifier(), cache)
    distiller.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"the batch does not carry its outputs. Pass cache.attach\(x\)"):
        distiller.fit(x, y, verbose=0)


def test_pruning_a_quantized_student_from_a_cache_saves_and_resumes(blobs, tmp_path):
    x, y = blobs[0][:64], blobs[1][:64]
    student = tfopt.quantize(classifier(), calibration=x)
    distiller = td.Distiller(student, make(classifier(16), x, tmp_path))
    distiller.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    prune = {"callbacks": [tfopt.Pruning(tfopt.ConstantSparsity(0.5))], "shuffle": False, **FIT}
    distiller.fit(distiller.teacher.attach(x), y, **prune)
    distiller.save(tmp_path / "d.keras")
    loaded = keras.models.load_model(tmp_path / "d.keras")
    runs = [
        (one.fit(one.teacher.attach(x), y, **prune).history, one.student.get_weights())
        for one in (distiller, loaded)
    ]
    assert_same_run(*runs, tolerance=1e-6)
    assert distiller.student is student
    kernels = [np.array(layer.kernel) for layer in student.layers if hasattr(layer, "kernel")]
    assert np.mean(kernels[0] == 0) == 0.5
