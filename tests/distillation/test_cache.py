"""The teacher cache: what it holds, how samples find their outputs, kills, stale caches, every form of data."""

import os
import pathlib
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import tfopt.distillation as td
from tests.distillation.test_distiller import classifier, two_heads
from tfopt.distillation import _cache_teacher
from tfopt.distillation._fingerprint import hash_samples, hash_teacher
from tfopt.distillation._top_k import compress, expand

FIT = {"batch_size": 32, "verbose": 0}


def make(teacher, data, tmp_path, **options):
    return td.cache_teacher(teacher, data, tmp_path / "cache", verbose=0, **options)


def fitted(teacher, x, y, losses=None, student=None, **fit):
    """The logs and weights of a run from fixed weights."""
    keras.utils.set_random_seed(3)
    distiller = td.Distiller(student or classifier(), teacher, losses)
    distiller.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    logs = distiller.fit(x, y, **{**FIT, "epochs": 2, **fit}).history
    return logs, distiller.student.get_weights()


def assert_same_run(one, other, tolerance=1e-4):
    for name, values in other[0].items():
        np.testing.assert_allclose(one[0][name], values, rtol=tolerance, err_msg=name)
    for a, b in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance)


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
    logs, _ = fitted(cache, endless, None, batch_size=None, shuffle=False, steps_per_epoch=4)
    assert np.isfinite(list(logs.values())).all()


def test_data_without_labels_and_of_several_inputs(tmp_path):
    rng = np.random.default_rng(0)
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    teacher = keras.Model({"a": a, "b": b}, layers.Dense(4, "softmax")(layers.Concatenate()([a, b])))
    x = {"a": rng.normal(size=(40, 3)).astype("float32"), "b": rng.normal(size=(40, 2)).astype("float32")}
    cache = make(teacher, x, tmp_path)
    student = keras.models.clone_model(teacher)
    distiller = td.Distiller(student, cache)
    distiller.compile("sgd")
    assert distiller.fit(cache.attach(x), **FIT).history["loss"][0] > 0
    data = tf.data.Dataset.from_tensor_slices(x).batch(8)
    assert distiller.fit(cache.attach(data), verbose=0, shuffle=False).history["loss"][0] > 0


def test_several_outputs_and_an_ensemble(blobs, tmp_path):
    x = blobs[0][:64]
    teachers = [two_heads(16), two_heads(8)]
    cache = make(teachers, x, tmp_path)
    distiller = td.Distiller(two_heads(6), cache)
    distiller.compile(keras.optimizers.SGD(0.0))
    online = td.Distiller(distiller.student, teachers)
    online.compile(keras.optimizers.SGD(0.0))
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
    x, y = blobs
    cache = make(classifier(16), x, tmp_path)
    distiller = td.Distiller(classifier(), cache)
    distiller.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    distiller.fit(cache.attach(x), y, shuffle=False, **FIT)
    distiller.save(tmp_path / "d.keras")
    loaded = keras.models.load_model(tmp_path / "d.keras")
    runs = [
        (one.fit(one.teacher.attach(x), y, shuffle=False, **FIT).history, one.student.get_weights())
        for one in (distiller, loaded)
    ]
    assert_same_run(*runs, tolerance=1e-6)


def test_dtypes_and_top_k(blobs, tmp_path):
    x = blobs[0][:64]
    teacher = classifier(16)
    outputs = teacher.predict(x, verbose=0)
    half = td.cache_teacher(teacher, x, tmp_path / "half", dtype="float16", verbose=0)
    np.testing.assert_allclose(half.attach(x)["tfopt_teacher"]["output_0"], outputs, atol=1e-3)
    assert half.attach(x)["tfopt_teacher"]["output_0"].dtype == np.float16
    top = td.cache_teacher(teacher, x, tmp_path / "top", top_k=2, verbose=0)
    entries = top.attach(x)["tfopt_teacher"]
    assert {name: a.shape for name, a in entries.items()} == {
        "output_0_values": (64, 2),
        "output_0_classes": (64, 2),
        "output_0_rest": (64, 1),
    }
    taught = np.array(top.teach(td._teachers.Lesson(x, entries, None, {}))[0])
    np.testing.assert_allclose(taught.sum(-1), 1.0, rtol=1e-5)
    kept = np.sort(outputs, -1)[:, -2:]
    np.testing.assert_allclose(np.sort(taught, -1)[:, -2:], kept, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.floats(0.1, 20.0), st.integers(0, 2**32 - 1))
def test_top_k_keeps_what_the_others_share(k, scale, seed):
    logits = scale * np.random.default_rng(seed).normal(size=(3, 2, 6))
    probabilities = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    from_logits = np.array(expand(*compress(logits, k, probabilities=False), 6))
    from_probabilities = np.array(expand(*compress(probabilities, k, probabilities=True), 6))
    np.testing.assert_allclose(keras.ops.softmax(from_logits), from_probabilities, atol=1e-5)
    rank = np.argsort(-probabilities, axis=-1)
    ranked = np.take_along_axis(from_probabilities, rank, -1)
    np.testing.assert_allclose(
        ranked[..., :k], np.take_along_axis(probabilities, rank, -1)[..., :k], atol=1e-6
    )
    np.testing.assert_allclose(from_probabilities.sum(-1), 1.0, atol=1e-5)


def contents(directory):
    return {path.name: path.read_bytes() for path in sorted(pathlib.Path(directory).iterdir())}


@pytest.mark.parametrize("stop_at", [1, 5])
def test_an_interrupted_build_resumes_to_the_same_bytes(blobs, tmp_path, monkeypatch, stop_at):
    monkeypatch.setattr(_cache_teacher, "SHARD_SAMPLES", 64)
    teacher, x = classifier(16), blobs[0][:250]
    options = {"features": [teacher.layers[1].name], "top_k": 2, "verbose": 0}
    td.cache_teacher(teacher, x, tmp_path / "whole", **options)
    calls = []
    predict = _cache_teacher._Reader.predict_on_batch

    def stopping(self, batch):
        calls.append(len(batch))
        if len(calls) == stop_at + 1:
            raise KeyboardInterrupt
        return predict(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(_cache_teacher._Reader, "predict_on_batch", stopping)
        with pytest.raises(KeyboardInterrupt):
            td.cache_teacher(teacher, x, tmp_path / "cache", **options)
        with pytest.raises(
            ValueError, match=r"is not complete: its making was interrupted. Call tfopt.cache_teacher"
        ):
            td.TeacherCache(tmp_path / "cache")
        (tmp_path / "cache" / ".output_0.00001.npy.x1y2").write_bytes(b"half a file")
        calls = [0] * 10
        td.cache_teacher(teacher, x, tmp_path / "cache", **options)
    # Eight batches; shards of two: no batch of a finished shard is computed again.
    assert len(calls) - 10 == 8 - stop_at // 2 * 2
    assert contents(tmp_path / "cache") == contents(tmp_path / "whole")


KILLED = """
import os, signal, sys
import keras, numpy as np
import tfopt.distillation as td
from tfopt.distillation import _cache_teacher
keras.utils.set_random_seed(0)
_cache_teacher.SHARD_SAMPLES = 32
teacher = keras.Sequential([keras.Input((8,)), keras.layers.Dense(5, "softmax")])
x = np.random.default_rng(0).normal(size=(160, 8))
write = _cache_teacher.Store.write_shard
def killing(self, number, entries):
    write(self, number, dict(list(entries.items())[:1]) if number == 2 else entries)
    if number == 2 and sys.argv[2] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, number, entries)
_cache_teacher.Store.write_shard = killing
td.cache_teacher(teacher, x, sys.argv[1], verbose=0)
"""


@pytest.mark.slow
def test_a_killed_process_leaves_a_cache_that_the_next_one_completes(tmp_path):
    script = tmp_path / "build.py"
    script.write_text(KILLED)

    def run(directory, how):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, str(script), str(tmp_path / directory), how]
        return subprocess.run(command, env=environment, capture_output=True).returncode

    assert run("killed", "kill") == -signal.SIGKILL
    assert (tmp_path / "killed" / "manifest.json").exists()
    assert run("killed", "go on") == 0
    assert run("whole", "go on") == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_a_complete_cache_is_verified_and_not_computed_again(blobs, tmp_path, monkeypatch):
    teacher, x = classifier(16), blobs[0]
    make(teacher, x, tmp_path)
    before = contents(tmp_path / "cache")
    monkeypatch.setattr(_cache_teacher._Reader, "predict_on_batch", None)
    assert len(make(teacher, x, tmp_path)) == 256
    assert contents(tmp_path / "cache") == before


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


def test_data_that_differs_between_readings_cannot_be_cached(blobs, tmp_path):
    data = tf.data.Dataset.from_tensor_slices(blobs)
    rng = np.random.default_rng()

    def augment(x, y):
        return tf.numpy_function(lambda x: x + rng.normal(size=x.shape), [x], tf.float64), y

    augmented = data.batch(32).map(augment)
    for random in (augmented, data.shuffle(256).batch(32)):
        with pytest.raises(ValueError, match=r"another first batch at the second reading.*fixed seeds"):
            make(classifier(16), random, tmp_path)
    assert not (tmp_path / "cache").exists()


def test_augmentation_with_fixed_seeds_is_cached_like_any_data(blobs, tmp_path):
    def epoch(seed):
        noise = tf.random.stateless_normal((256, 8, 8, 1), (seed, 0))
        return tf.data.Dataset.from_tensor_slices((blobs[0] + noise, blobs[1])).batch(32)

    cache = make(classifier(16), epoch(0).concatenate(epoch(1)), tmp_path)
    assert len(cache) == 512
    for seed in (1, 0):
        logs, _ = fitted(cache, cache.attach(epoch(seed)), None, batch_size=None, shuffle=False, epochs=1)
        assert np.isfinite(list(logs.values())).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"teacher": lambda x: x}, TypeError, r"'teacher' argument of cache_teacher .*layers.Lambda"),
        ({"dtype": "int8"}, ValueError, r"'dtype' argument .* 'float32' or 'float16'. Got 'int8'"),
        ({"top_k": 0}, ValueError, r"'top_k' argument .* integer >= 1. Got 0"),
        ({"dataset": iter([])}, TypeError, r"Got list_iterator instead. A generator can be read only once"),
        ({"dataset": np.ones((0, 8, 8, 1))}, ValueError, r"'dataset' argument .* at least one batch"),
        ({"features": ["dens"]}, ValueError, r"the teacher .* has no layer of that name.*Nearest are: dense"),
    ],
)
def test_bad_arguments(blobs, tmp_path, arguments, error, message):
    arguments = {"teacher": classifier(16), "dataset": blobs[0], **arguments}
    with pytest.raises(error, match=message):
        td.cache_teacher(directory=tmp_path / "cache", verbose=0, **arguments)
    assert not (tmp_path / "cache").exists()


def test_values_too_large_for_float16_are_refused(tmp_path):
    teacher = keras.Sequential([keras.Input((2,)), layers.Rescaling(1e6)])
    with pytest.raises(
        ValueError, match=r"'float16', but a value of the teacher is 1e\+06, above .*'float32'"
    ):
        make(teacher, np.ones((4, 2)), tmp_path, dtype="float16")


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


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float64", "bool"])
def test_fingerprints(dtype):
    x = np.random.default_rng(0).integers(0, 100, (50, 3, 2)).astype(dtype)
    hashes = hash_samples(x)
    if dtype != "bool":
        assert len(set(hashes.tolist())) == 50
    np.testing.assert_array_equal(hash_samples(x[::-1]), hashes[::-1])
    np.testing.assert_array_equal(hash_samples(np.asfortranarray(x)), hashes)
    if dtype.startswith("float"):
        np.testing.assert_array_equal(hash_samples(x.astype("float32")), hashes)
    other = x.copy()
    other[7, 0, 0] = not other[7, 0, 0] if dtype == "bool" else other[7, 0, 0] + 1
    assert np.flatnonzero(hash_samples(other) != hashes).tolist() == [7]


def test_the_fingerprint_of_a_teacher_sees_settings_and_not_names():
    def made(activation, name):
        return keras.Sequential([keras.Input((4,)), layers.Dense(3, activation, name=name)])

    one, renamed, other = made("relu", "a"), made("relu", "b"), made("tanh", "a")
    for model in (renamed, other):
        model.set_weights(one.get_weights())
    assert hash_teacher([one]) == hash_teacher([renamed]) != hash_teacher([other])
