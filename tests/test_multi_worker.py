"""Two workers on one machine, as processes that find each other through `TF_CONFIG`."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt  # noqa: F401  (registers the classes of the saved model)

ROOT = Path(__file__).parent.parent
EXAMPLE = [str(ROOT / "examples" / "multi_worker.py")]

# Each worker draws other numbers and has other samples; they must come to the same weights.
ALIKE = """
from tfopt import distribute
strategy = distribute.strategy()
import hashlib, json, os
import keras, numpy as np, tfopt
from tests.pruning.nets import conv_net, drive

index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
assert distribute.is_chief() == (index == 0)
rng = np.random.default_rng(index)
data = rng.normal(size=(16, 8, 8, 1)).astype("float32"), rng.integers(0, 4, 16)
growth = {"end_step": 24, "frequency": 4}
constant = tfopt.pruning.ConstantSparsity(0.5)
ROWS = {
    "random": lambda: tfopt.Pruning(constant, ".*", criterion="random"),
    "taylor": lambda: tfopt.Pruning(constant, ".*", criterion="taylor", data=data),
    "SET": lambda: tfopt.Pruning(constant, ".*", regrowth=tfopt.SET(**growth)),
    "RigL": lambda: tfopt.Pruning(constant, ".*", regrowth=tfopt.RigL(**growth), data=data),
}
for name, make in ROWS.items():
    keras.utils.set_random_seed(index)
    with strategy.scope():
        model = conv_net()
        model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    drive(model, make())
    print(name, hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest(), flush=True)
with strategy.scope():
    q = tfopt.quantize(model, data[0])
print("quantize", hashlib.sha256(b"".join(w.tobytes() for w in q.get_weights())).hexdigest(), flush=True)
"""


class Workers:
    """Two workers that run the same program."""

    def __init__(self, program: list[str]) -> None:
        with socket.socket() as one, socket.socket() as two:
            for each in (one, two):
                each.bind(("localhost", 0))
            places = [f"localhost:{each.getsockname()[1]}" for each in (one, two)]
        self.processes = []
        for index in range(2):
            task = {"cluster": {"worker": places}, "task": {"type": "worker", "index": index}}
            path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, *program],
                    env={**os.environ, "TF_CONFIG": json.dumps(task), "PYTHONPATH": path},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )

    def outputs(self) -> list[str]:
        """What they print, once both have ended well."""
        try:
            found = [process.communicate(timeout=300)[0] for process in self.processes]
        finally:
            self.stop()
        assert [process.returncode for process in self.processes] == [0, 0], "\n".join(found)
        return found

    def stop(self) -> None:
        """End both, as a cluster's scheduler does when one has died."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()


@pytest.mark.slow
def test_workers_agree_whatever_they_draw_and_see() -> None:
    first, second = (
        [
            line
            for line in output.splitlines()
            if line.startswith(("random", "taylor", "SET", "RigL", "quantize"))
        ]
        for output in Workers(["-c", ALIKE]).outputs()
    )
    assert first == second
    assert len(first) == 5


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(tmp_path: Path) -> None:
    """The example, undisturbed and with a worker that dies after the first epoch."""
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    outputs = Workers([*EXAMPLE, str(tmp_path / "whole")]).outputs()
    assert "passed on 360 samples" in outputs[0]
    assert "passed" not in outputs[1]  # the chief alone writes and verifies
    assert "75.0 % of the 18,432 pruned weights are zero" in outputs[0]

    killed = Workers([*EXAMPLE, str(tmp_path / "killed")])
    backup, end = tmp_path / "killed" / "backup.keras", time.monotonic() + 300
    while not backup.exists() and time.monotonic() < end:
        time.sleep(0.05)
    killed.processes[1].send_signal(signal.SIGKILL)
    killed.stop()
    assert not (tmp_path / "killed" / "digits.tflite").exists()
    outputs = Workers([*EXAMPLE, str(tmp_path / "killed")]).outputs()
    assert "epoch 1:" not in outputs[0]

    whole, resumed = (
        keras.models.load_model(tmp_path / name / "backup.keras") for name in ("whole", "killed")
    )
    for one, other in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_array_equal(other == 0, one == 0, err_msg=one.path)
        np.testing.assert_allclose(other, one, atol=1e-6, err_msg=one.path)
