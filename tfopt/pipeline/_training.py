"""The one training in which all techniques act together."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfopt._progress import progress
from tfopt._samples import count
from tfopt.pipeline._checkpoints import Checkpoints
from tfopt.pipeline._run import Run, cut


class Batches(keras.utils.PyDataset):
    """Samples in batches, in an order that depends on the seed and the epoch alone: a resumed run has the same."""

    def __init__(self, x: Any, y: Any, batch_size: int, seed: int) -> None:
        super().__init__()
        self.x, self.y, self.batch_size, self.seed = x, y, batch_size, seed
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Shuffle for an epoch, counted from the beginning of the training."""
        self.order = np.random.default_rng([self.seed, epoch]).permutation(count(self.x))

    def __len__(self) -> int:
        return -(-count(self.x) // self.batch_size)

    def __getitem__(self, index: int) -> Any:
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        x = cut(self.x, rows)
        return (x,) if self.y is None else (x, self.y[rows])


class _Epochs(keras.callbacks.Callback):
    """Tells the batches which epoch it is, and the user how far the training is."""

    def __init__(self, batches: Batches, advance: Any) -> None:
        super().__init__()
        self.batches, self.advance = batches, advance

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.start_epoch(epoch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.advance(1)


def train(
    model: keras.Model, run: Run, epochs: int, callbacks: list[Any], state: Path | None
) -> dict[str, list[float]]:
    """Trains a model, and returns what each epoch logged.

    Args:
        model: what to train.
        run: the samples, the loss and the settings.
        epochs: how many.
        callbacks: those of techniques.
        state: a folder to keep the state in after each epoch, to go on from if it is there already; None for none.
    """
    settings = run.recipe.train
    x, y = run.train
    batches = Batches(x, y, settings.batch_size, run.recipe.seed)
    steps = epochs * len(batches)
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    metrics = keras.saving.deserialize_keras_object(run.task.metrics) if run.task.metrics else None
    if metrics is None and run.task.loss is not None and run.task.class_scores:
        metrics = ["accuracy"]
    model.compile(keras.optimizers.Adam(rate), run.task.loss, metrics=metrics)
    checkpoints = None if state is None else Checkpoints(state, epochs)
    done = checkpoints.restore(model) if checkpoints else 0
    run.say(
        f"Training: {epochs} epochs of {len(batches):,} steps" + (f", {done} done before" if done else "")
    )
    with progress("Training", total=steps) as advance:
        advance(done * len(batches))
        last = [checkpoints] if checkpoints else []
        history = model.fit(
            batches,
            epochs=epochs,
            initial_epoch=done,
            callbacks=[*callbacks, *run.callbacks, _Epochs(batches, advance), *last],
            shuffle=False,  # of the batches, which Keras would do in an order that a resumed run does not have
            verbose=0,
        )
    if checkpoints:
        return checkpoints.logged
    return {name: [float(value) for value in values] for name, values in history.history.items()}
