"""Weights that something else than the masked training step has written: seen, and said."""

import warnings
from collections.abc import Callable
from typing import Any

import keras


def after_other_callbacks(callback: keras.callbacks.Callback, action: Callable[[], None]) -> None:
    """Run `action` when the callbacks that `fit` lists after this one have ended their training too."""
    history = getattr(callback.model, "history", None)
    # The history of another fit, if this training is not one, has other parameters.
    if not isinstance(history, keras.callbacks.History) or history.params is not callback.params:
        return
    end = history.on_train_end

    def on_train_end(logs: dict[str, Any] | None = None) -> None:
        vars(history).pop("on_train_end", None)
        end(logs)
        action()

    # why: `fit` adds its History behind the callbacks that it is given, and no method of ours is called after theirs.
    history.on_train_end = on_train_end  # type: ignore[method-assign]


def warn_of_restored(model: keras.Model, found: float, wanted: float) -> None:
    """Warn that the weights at the end of training were not those that training had pruned."""
    warnings.warn(
        f"At the end of training the pruned weights of '{model.name}' held {100 * found:.1f} % zeros instead of "
        f"{100 * wanted:.1f} %: a callback has put back weights of an earlier epoch, as "
        "EarlyStopping(restore_best_weights=True) does. They are pruned again, and have not trained since. Let such a "
        "callback choose among epochs after the schedule's end only (start_from_epoch= of EarlyStopping).",
        stacklevel=2,
    )


def warn_of_unmasked_steps(model: keras.Model) -> None:
    """Warn that masks did not hold during an epoch."""
    warnings.warn(
        f"Pruned weights of '{model.name}' were written in this epoch in spite of their masks, by a callback or by "
        "training steps that apply no constraints, and are set to zero only now, at its end. In a training loop of "
        "your own call on_train_begin before the step is traced, and update weights with optimizer.apply, which "
        "applies `variable.constraint`.",
        stacklevel=2,
    )
