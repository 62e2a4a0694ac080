"""`tfopt.distribute.strategy`: the hardware that is there decides."""

import json

import pytest
import tensorflow as tf

from tfopt import distribute


def test_one_machine_without_accelerators_gets_the_default(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert distribute.strategy() is tf.distribute.get_strategy()


def test_several_gpus_get_a_mirrored_strategy(monkeypatch):
    # Two logical CPUs stand in for GPUs.
    devices = tf.config.list_logical_devices("CPU")
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: devices)
    assert distribute.strategy().num_replicas_in_sync == 2


def test_several_workers_get_a_multi_worker_strategy(monkeypatch):
    made = []
    monkeypatch.setattr(
        tf.distribute, "MultiWorkerMirroredStrategy", lambda: made.append(1) or "multi-worker"
    )
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"index": 0}}))
    assert distribute.strategy() == "multi-worker"
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"index": 0}}))
    assert distribute.strategy() is tf.distribute.get_strategy()
    assert made == [1]


def test_a_tpu_gets_a_tpu_strategy(monkeypatch):
    calls = []
    monkeypatch.setenv("TPU_NAME", "local")
    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", lambda: "resolver")
    monkeypatch.setattr(tf.config, "experimental_connect_to_cluster", calls.append)
    monkeypatch.setattr(tf.tpu.experimental, "initialize_tpu_system", calls.append)
    monkeypatch.setattr(tf.distribute, "TPUStrategy", lambda resolver: f"tpu on {resolver}")
    assert distribute.strategy() == "tpu on resolver"
    assert calls == ["resolver", "resolver"]


@pytest.mark.parametrize(
    ("jobs", "task", "expected"),
    [
        ({"worker": ["a:1", "b:1"]}, ("worker", 0), True),
        ({"worker": ["a:1", "b:1"]}, ("worker", 1), False),
        ({"chief": ["a:1"], "worker": ["b:1"]}, ("worker", 0), False),
        ({"chief": ["a:1"], "worker": ["b:1"]}, ("chief", 0), True),
        ({"worker": ["a:1"]}, ("worker", 0), True),
    ],
)
def test_one_worker_is_the_chief(monkeypatch, jobs, task, expected):
    config = {"cluster": jobs, "task": dict(zip(("type", "index"), task, strict=True))}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert distribute.is_chief() is expected


@pytest.mark.parametrize("config", ["{", "[]", '{"cluster": {"worker": 3}}'])
def test_a_wrong_cluster_teaches(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match="TF_CONFIG must be JSON such as"):
        distribute.strategy()
