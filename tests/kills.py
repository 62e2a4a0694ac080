"""Training that is killed again and again ends in the same file, byte for byte: for each way of saving.

python -m tests.kills                # 20 kills of each
python -m tests.kills 2 steps        # 2 kills, of the way that saves by steps

Pruning with regrowth, quantization and distillation in one `fit`. The parent process sends SIGKILL at steps drawn at
random, and starts the program once more, until it has ended. Where a kill hits a file that is being written, the one
before must do.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfopt

EPOCHS, STEPS, BATCH = 6, 8, 8
RNG = np.random.default_rng(0)
X = RNG.normal(size=(STEPS * BATCH, 6)).astype("float32")
Y = RNG.integers(0, 4, STEPS * BATCH)


class Reports(keras.callbacks.Callback):
    """Sends each step to the parent process, and waits a moment: it may be the last one."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__()
        self.pipe = pipe

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Send the step."""
        self.pipe.send(int(self.model.optimizer.iterations))


def new_model() -> keras.Model:
    """A distiller around a quantized student, compiled."""
    dense = keras.layers.Dense
    student = keras.Sequential([keras.Input((6,)), dense(8, "relu"), dense(4)])
    teacher = keras.Sequential([keras.Input((6,)), dense(16, "relu"), dense(4)])
    losses = [tfopt.SoftTargets(from_logits=True)]
    model = tfopt.Distiller(tfopt.quantize(student, X), teacher, losses)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, jit_compile=False)
    return model


def batches(skip: int) -> Any:
    """All batches of all epochs, shuffled anew in each, from some step on."""
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(len(X), seed=1).batch(BATCH)
    return data.repeat().skip(skip)


def pruning() -> tfopt.Pruning:
    """Half of all weights, some of which grow again."""
    schedule = tfopt.PolynomialDecay(0.5, 24, frequency=3)
    return tfopt.Pruning(schedule, ".*", regrowth=tfopt.SET(end_step=40, frequency=4))


def fit(model: keras.Model, done: int, callbacks: list[keras.callbacks.Callback]) -> None:
    """The steps from `done` on: the rest of the epoch that was interrupted, and the epochs after it."""
    begun = done // STEPS
    masks = pruning()  # one for both: what is drawn at random for SET comes from the seed that it draws once
    for epoch, end in ((begun, begun + 1), (begun + 1, EPOCHS)) if done % STEPS else ((begun, EPOCHS),):
        steps = STEPS if epoch * STEPS >= done else STEPS - done % STEPS
        model.fit(
            batches(max(done, epoch * STEPS)),
            initial_epoch=epoch,
            epochs=end,
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=[masks, *callbacks],
        )


def _backup(folder: Path, reports: Reports) -> keras.Model:
    """`BackupAndRestore` by epochs; the data has one order, since the callback alone knows the epoch."""
    model = new_model()
    backup = keras.callbacks.BackupAndRestore(
        folder / "backup", double_checkpoint=True, delete_checkpoint=False
    )
    model.fit(X, Y, BATCH, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[pruning(), backup, reports])
    return model


def _newest(folder: Path) -> keras.Model | None:
    """The newest checkpoint that is whole."""
    for path in sorted(folder.glob("*.keras"), key=lambda path: path.stat().st_mtime_ns, reverse=True):
        try:
            return keras.models.load_model(path)
        except Exception:  # a file that was not written to its end fails in many ways
            path.unlink()
    return None


def _checkpoints(save_freq: Any) -> Callable[[Path, Reports], keras.Model]:
    """`ModelCheckpoint`; the optimizer, which is in it, counts the steps that are done."""

    def run(folder: Path, reports: Reports) -> keras.Model:
        model = _newest(folder) or new_model()
        name = folder / ("{epoch}.keras" if save_freq == "epoch" else "{epoch}-{batch}.keras")
        checkpoint = keras.callbacks.ModelCheckpoint(name, save_freq=save_freq)
        fit(model, int(model.optimizer.iterations), [checkpoint, reports])
        return model

    return run


WAYS: dict[str, Callable[[Path, Reports], keras.Model]] = {
    "backup": _backup,
    "epochs": _checkpoints("epoch"),
    "steps": _checkpoints(5),
}


def _run(way: str, folder: Path, pipe: Connection) -> None:
    # Of the order of samples too: tf.data draws it from its own seed and this one.
    keras.utils.set_random_seed(0)
    model = WAYS[way](folder, Reports(pipe))
    tfopt.export(model.student, folder / "unfinished.tflite")
    (folder / "unfinished.tflite").rename(folder / "model.tflite")


def trained(way: str, folder: Path, kills: list[int]) -> tuple[bytes, int]:
    """The file at the end of a training that is killed when it reports each of these steps, and how often it was.

    Args:
        way: a key of `WAYS`.
        folder: where checkpoints go; empty.
        kills: steps, the next one waited for in a new process.
    """
    # TensorFlow is imported, but no operation of it has run: a copy of the process can do all.
    context, killed = multiprocessing.get_context("fork"), 0
    for step in [*kills, None]:
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(way, folder, theirs))
        process.start()
        theirs.close()
        try:
            while True:
                if mine.recv() == step:
                    os.kill(process.pid, signal.SIGKILL)
        except EOFError:
            process.join()
        killed += process.exitcode == -signal.SIGKILL
        if process.exitcode not in (0, -signal.SIGKILL):
            raise SystemExit(f"The program ended with {process.exitcode}.")
    return (folder / "model.tflite").read_bytes(), killed


def kill_steps(number: int, seed: int = 0) -> list[int]:
    """Random steps, each another, each of which a run reaches that goes on from an earlier one."""
    drawn = np.random.default_rng(seed).choice(range(2, EPOCHS * STEPS), number, replace=False)
    return sorted(int(step) for step in drawn)


def main() -> None:
    """Kill and compare, for each way."""
    arguments = sys.argv[1:]
    number = int(arguments.pop(0)) if arguments else 20
    for way in arguments or WAYS:
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            steps = kill_steps(number)
            whole, _ = trained(way, Path(one), [])
            pieces, killed = trained(way, Path(other), steps)
        ended = "the same file" if pieces == whole else "ANOTHER FILE"
        print(f"{way}: {killed} kills at steps {steps}: {ended}", flush=True)


if __name__ == "__main__":
    main()
