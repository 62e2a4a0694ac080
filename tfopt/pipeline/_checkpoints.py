"""The state of a training after each epoch, so that a run that was killed goes on where it was.

Keras' BackupAndRestore writes weights and the number of the epoch one after the other: a run that is killed in between
goes on with the wrong epoch. Here the number is in the name that a finished file takes.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfopt._files import write_whole

_UNFINISHED = "unfinished.weights.h5"


class Checkpoints(keras.callbacks.Callback):
    """Keeps weights, optimizer and history after each epoch but the last; list it after all that change weights.

    Args:
        folder: where to; it is made.
        epochs: of the whole training.
    """

    def __init__(self, folder: Path, epochs: int) -> None:
        super().__init__()
        self.folder, self.epochs = folder, epochs
        self.logged: dict[str, list[float]] = {}
        folder.mkdir(exist_ok=True)

    def restore(self, model: keras.Model) -> int:
        """Brings a compiled model to the state that was kept last, and returns the epochs that are done."""
        done = sorted(self.folder.glob("[0-9]*.weights.h5"))
        if not done:
            return 0
        model.optimizer.build(model.trainable_variables)
        model.load_weights(done[-1])
        number = done[-1].name.split(".")[0]
        self.logged = json.loads((self.folder / f"{number}.json").read_text())
        return int(number)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the state, then drop the one before."""
        for name, value in (logs or {}).items():
            self.logged.setdefault(name, []).append(float(value))
        number = epoch + 1
        if number == self.epochs:
            return
        before = [file for file in self.folder.iterdir() if file.name[0].isdigit()]
        write_whole(self.folder / f"{number:06}.json", json.dumps(self.logged).encode())
        self.model.save_weights(self.folder / _UNFINISHED)
        os.replace(self.folder / _UNFINISHED, self.folder / f"{number:06}.weights.h5")
        for file in before:
            file.unlink()


def claim(folder: Path, recipe: str, model: keras.Model, arrays: Any) -> None:
    """Marks a folder as that of a run, or raises if it is another one's.

    Args:
        folder: the folder for its state.
        recipe: what it does.
        model: the original model.
        arrays: everything that it calibrates, trains and measures with.

    Raises:
        ValueError: the state there is that of another recipe, model or data.
    """
    digest = hashlib.sha256(f"{recipe}\n{model.to_json()}".encode())
    for array in (*model.get_weights(), *keras.tree.flatten(arrays)):
        if array is not None:
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    folder.mkdir(exist_ok=True)
    file = folder / "run.sha256"
    if file.exists() and file.read_text() != digest.hexdigest():
        raise ValueError(
            "The run to be resumed must be the same. It was of another recipe, model or data. Give those, or begin "
            "anew, without resume."
        )
    write_whole(file, digest.hexdigest().encode())
