"""Making a teacher cache: what is stored, interruptions and kills, what cannot be cached."""

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
from tests.distillation.models import classifier
from tests.distillation.test_cache import make
from tfopt.distillation.teachers import _cache_teacher
from tfopt.distillation.teachers._top_k import compress, expand


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
    taught = np.array(top.teach(td.teachers._teachers.Lesson(x, entries, None, {}))[0])
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
    on_batch = _cache_teacher.on_batch

    def stopping(reader):
        read = on_batch(reader)

        def stop(batch):
            calls.append(len(batch))
            if len(calls) == stop_at + 1:
                raise KeyboardInterrupt
            return read(batch)

        return stop

    with monkeypatch.context() as patch:
        patch.setattr(_cache_teacher, "on_batch", stopping)
        with pytest.raises(KeyboardInterrupt):
            td.cache_teacher(teacher, x, tmp_path / "cache", **options)
        with pytest.raises(
            ValueError, match=r"is not complete: writing it was interrupted. Call tfopt.cache_teacher"
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
from tfopt.distillation.teachers import _cache_teacher
keras.utils.set_random_seed(0)
_cache_teacher.SHARD_SAMPLES = 32
teacher = keras.Sequential([keras.Input((8,)), keras.layers.Dense(5, "softmax")])
x = np.random.default_rng(0).normal(size=(160, 8))
write = _cache_teacher.Store.write_shard
def killing(self, number, entries):
    write(self, number, dict(list(entries.items())[:1]) if number == 2 else entries)
    if number == 2 and sys.argv[2] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return write(self, number, entries)
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


def test_data_that_differs_between_readings_cannot_be_cached(blobs, tmp_path):
    data = tf.data.Dataset.from_tensor_slices(blobs)
    rng = np.random.default_rng()

    def augment(x, y):
        return tf.numpy_function(lambda x: x + rng.normal(size=x.shape), [x], tf.float64), y

    augmented = data.batch(32).map(augment)
    for random in (augmented, data.shuffle(256).batch(32)):
        with pytest.raises(ValueError, match=r"another first batch in the second reading.*fixed seeds"):
            make(classifier(16), random, tmp_path)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"teacher": lambda x: x}, TypeError, r"'teacher' argument of cache_teacher .*layers.Lambda"),
        ({"dtype": "int8"}, ValueError, r"'dtype' argument .* 'float32' or 'float16'. Got 'int8'"),
        ({"top_k": 0}, ValueError, r"'top_k' argument .* integer >= 1. Got 0"),
        ({"dataset": iter([])}, TypeError, r"Got list_iterator instead. A generator can be read only once"),
        ({"dataset": np.ones((0, 8, 8, 1))}, ValueError, r"'dataset' argument .* at least one batch"),
        (
            {"features": ["dens"]},
            ValueError,
            r"the teacher .* has no layer of that name.*The nearest names are: dense",
        ),
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
