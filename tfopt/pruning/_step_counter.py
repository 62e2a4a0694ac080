"""Which optimizer step training is at: with one optimizer, with several, and in a loop of one's own."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras

from tfopt.graph import flatten_layers
from tfopt.pruning._backend import innermost, synchronize


class StepCounter:
    """Counts the steps of the optimizer that moves the pruned weights.

    That is `model.optimizer`, unless it makes no step: a model with its own `train_step` may keep other optimizers as
    attributes. Of several that move pruned weights it is the slowest, so that no weight is pruned ahead of its
    training. Where no optimizer of the model makes a step, each batch counts as one.

    Counters are read once per epoch, because that waits for the device; in between, batches are counted.

    Args:
        model: the model that trains.
        variables: its pruned weights.
    """

    def __init__(self, model: keras.Model, variables: Sequence[keras.Variable]) -> None:
        self._model = model
        self._pruned = {id(variable) for variable in variables}
        self._counts: dict[int, int] = {}  # of each optimizer, at the last reading
        self._leader: keras.optimizers.Optimizer | None = next(self._own(), None)
        self._base = 0.0  # batches that the leader had seen at the last reading
        # The leader's updates per batch; none before it is known which of several optimizers leads.
        self._optimizers = optimizers_of(model)
        self._rate = 1.0 if len(self._optimizers) < 2 else 0.0
        self._offset = self._last = 0  # batches of this epoch: at the last reading, and now

    @property
    def per_batch(self) -> float:
        """Optimizer steps per batch."""
        return (self._rate or 1.0) / _accumulation(self._leader)

    def begin_epoch(self) -> None:
        """Read the counters."""
        batches = self._last - self._offset
        if not self._read(batches) and batches:
            self._optimizers = optimizers_of(self._model)  # some may have been made in the meantime
            self._base += batches * (self._rate or 1.0)
            self._rate, self._leader = 1.0, None
        self._offset = self._last = 0

    def at(self, batch: int) -> int:
        """The optimizer step after so many batches of this epoch."""
        self._last = max(self._last, batch)
        done = self._base + (batch - self._offset) * self._rate
        return int(done + 1e-6) // _accumulation(self._leader)

    def learn(self, batch: int) -> bool:
        """While it is not known which of several optimizers moves the weights: read the counters; whether it is now."""
        if self._rate or batch <= self._offset:
            return False
        synchronize(self._model)
        if not self._read(batch - self._offset):
            return False
        self._offset = batch
        return True

    def note(self) -> str:
        """A sentence on what was counted, where that is not the steps of the model's optimizer."""
        if self._leader is None:
            return " Batches were counted, because no optimizer of the model made a step."
        if any(self._leader is own for own in self._own()):
            return ""
        return f" Steps are those of the optimizer '{self._leader.name}', which moves the pruned weights."

    def _read(self, batches: int) -> bool:
        """Take the place of the optimizer that has moved pruned weights since the last reading; whether one has."""
        optimizers = [one for one in self._optimizers if one.built]
        counts = {id(one): _count(one) for one in optimizers}
        moved = {key: count - self._counts.get(key, 0) for key, count in counts.items()}
        own = {id(part) for part in self._own()}
        movers = [one for one in optimizers if moved[id(one)] > 0 and self._moves_pruned(one)]
        movers = [one for one in movers if id(one) in own] or movers
        if not movers:
            return False
        self._counts = counts
        self._leader = min(movers, key=lambda one: moved[id(one)] / _accumulation(one))
        self._base = counts[id(self._leader)]
        if batches:
            self._rate = _rate(moved[id(self._leader)] / batches, id(self._leader) in own)
        return True

    def _own(self) -> Iterator[keras.optimizers.Optimizer]:
        return parts_of(getattr(self._model, "optimizer", None))

    def _moves_pruned(self, optimizer: keras.optimizers.Optimizer) -> bool:
        return any(id(variable) in self._pruned for variable in trained_by(optimizer))


def optimizers_of(model: keras.Model) -> list[keras.optimizers.Optimizer]:
    """The optimizers that update weights: the model's own, and those that it or a layer in it has as attributes."""
    found = {id(part): part for part in parts_of(getattr(model, "optimizer", None))}
    for layer in (model, *flatten_layers(model)):
        for value in vars(layer).values():
            for part in parts_of(value):
                found.setdefault(id(part), part)
    return list(found.values())


def trained_by(optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """The weights that the optimizer was built for."""
    # why: Keras tells this nowhere else; its own SwapEMAWeights reads it too.
    return list(getattr(optimizer, "_trainable_variables", ()))


def moving_averages(optimizer: keras.optimizers.Optimizer) -> dict[int, keras.Variable]:
    """The moving average of each weight, by the weight's id; empty without `use_ema`."""
    # why: as above.
    averages = getattr(optimizer, "_model_variables_moving_average", ())
    if not averages:
        return {}
    return {id(weight): one for weight, one in zip(trained_by(optimizer), averages, strict=True)}


def parts_of(value: Any) -> Iterator[keras.optimizers.Optimizer]:
    """The optimizers that update weights in a value: those inside a list, a dict, a MultiOptimizer, a loss scale."""
    if isinstance(value, keras.optimizers.Optimizer):
        inner = innermost(value)
        yield from getattr(inner, "optimizers", (inner,))
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from parts_of(item)


def _count(optimizer: keras.optimizers.Optimizer) -> int:
    """How many batches the optimizer has seen."""
    # `optimizer.iterations` counts steps, and leaves out the batches that are accumulated for the next one.
    return int(next(variable for variable in optimizer.variables if variable.name == "iteration").numpy())


def _accumulation(optimizer: keras.optimizers.Optimizer | None) -> int:
    """How many batches make one step."""
    return getattr(optimizer, "gradient_accumulation_steps", None) or 1


def _rate(ratio: float, own: bool) -> float:
    """A whole number of updates per batch, or of batches per update: the last execution may have been shorter.

    The model's own optimizer makes an update for each batch at least; a LossScaleOptimizer skips some.

    >>> [_rate(ratio, own=False) for ratio in (5.0, 0.87, 0.19)], _rate(0.5, own=True)
    ([5.0, 1.0, 0.2], 1.0)
    """
    if own or ratio >= 1:
        return float(max(1, round(ratio)))
    return 1.0 / round(1.0 / ratio)
