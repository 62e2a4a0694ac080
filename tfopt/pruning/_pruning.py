"""The Pruning callback: masks on schedule during `fit`, and the plain model before, during and after."""

import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tfopt.pruning._backend import (
    compiled,
    create_masks,
    innermost,
    remove_masks,
    synchronize,
    variable_scope,
)
from tfopt.pruning._constraint import MaskConstraint, left_behind, own_constraint
from tfopt.pruning._criteria import magnitude
from tfopt.pruning._masks import unstructured_mask, zero_count
from tfopt.pruning._report import LayerSparsity, PruningReport
from tfopt.pruning._targets import Target, Where, find_targets, path_of


class Pruning(keras.callbacks.Callback):
    """Sets the smallest weights of every layer to zero while the model trains, more of them as the schedule says.

    Give it to `fit`; there is nothing to wrap, to strip or to remember. It works with any model, optimizer,
    strategy, `jit_compile` and `steps_per_execution`. After `n` optimizer steps each pruned weight holds
    `round(schedule(n) * size)` zeros, chosen by magnitude (Han et al. 2015, https://arxiv.org/abs/1506.02626) on a
    schedule such as that of Zhu & Gupta (2017, https://arxiv.org/abs/1710.01878). The zeros are in the weights
    themselves, so that any `ModelCheckpoint` is as sparse as the log, and a run that is resumed from weights and
    optimizer goes on where it stopped: masks are made anew from the zeros.

    While `fit` runs, each pruned weight has the constraint `mask * own(mask * weight)`, `own` being the constraint
    that you gave it, which is put back when training ends. A later `fit` is therefore free to fill the zeros:
    pass `Pruning(ConstantSparsity(0.8))` to it to keep them. When `fit` was interrupted by an error, call
    `pruning.on_train_end()` to put the constraints back.

    With `SwapEMAWeights`, list this callback behind it and before `ModelCheckpoint`.

    Adds `sparsity`, the fraction of zeros over all pruned weights, to the logs of each epoch.

    Args:
        schedule: `PolynomialDecay`, `ConstantSparsity` or any function from an optimizer step (int) to a sparsity
            in [0, 1). An optimizer step is an update of the weights: with `gradient_accumulation_steps=4`, it
            takes four batches.
        where: which layers to prune: None for all that gain by it (see `find_targets`), a regular expression that
            is searched in `layer.path`, or a function that takes a layer and returns a bool.

    Raises:
        TypeError: if `schedule` is not callable, or `where` is of another type.
        ValueError: if `where` is not a regular expression; from `fit`, if the model is not built, `where` matches no
            layer, nothing is left to prune, or another Pruning callback prunes the same weight.

    >>> import keras, numpy as np, tfopt.pruning
    >>> model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(10, name="head")], name="net")
    >>> model.compile("adam", "mse")
    >>> pruning = tfopt.pruning.Pruning(tfopt.pruning.ConstantSparsity(0.75))
    >>> history = model.fit(np.ones((8, 16)), np.ones((8, 10)), callbacks=[pruning], verbose=0)
    >>> history.history["sparsity"]
    [0.75]
    >>> print(pruning.report)
    Sparsity of 'net'
    layer      weight  sparsity  note
    net/head  16 × 10    75.0 %
    75.0 % of the 160 pruned weights are zero, 70.6 % of all 170.
    Biases stay dense.
    """

    def __init__(self, schedule: Callable[[int], float], where: Where = None) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(
                "The 'schedule' parameter of Pruning must be a schedule such as PolynomialDecay, or a function from "
                f"step to sparsity. Got {schedule!r} instead. For 80 % throughout pass ConstantSparsity(0.8)."
            )
        _check_where(where)
        self.schedule = schedule
        self.where = where
        self._targets: tuple[Target, ...] = ()
        self._dense: tuple[tuple[str, str], ...] = ()
        self._constraints: tuple[MaskConstraint, ...] = ()

    @property
    def report(self) -> PruningReport:
        """Which weights are pruned and how sparse they are now, and which layers stay dense and why."""
        if not self._targets:
            raise ValueError(
                "The 'report' of Pruning is made in fit. Call model.fit(..., callbacks=[pruning]) first."
            )
        synchronize(self.model)
        pruned = [
            LayerSparsity(path_of(target.layer), tuple(target.variable.shape), zeros)
            for target, zeros in zip(self._targets, self._zeros(), strict=True)
        ]
        dense = [LayerSparsity(path, reason=reason) for path, reason in self._dense]
        return PruningReport(self.model.name, (*pruned, *dense), self.model.count_params())

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Find the weights, and put a mask on each that keeps everything."""
        self._targets, self._dense = find_targets(self.model, self.where)
        variables = [target.variable for target in self._targets]
        remove_masks(self.model, left_behind(variables))
        self._constraints = tuple(
            MaskConstraint(mask, own_constraint(variable))
            for mask, variable in zip(create_masks(self.model, variables), variables, strict=True)
        )
        for variable, constraint in zip(variables, self._constraints, strict=True):
            variable.constraint = constraint
        # A train function that was traced before does not know the constraints.
        self.model.make_train_function(force=True)
        self._step = 0
        self._sparsity: float | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Read where the optimizer stands: once an epoch, as this waits for the device.

        The first masks are made here, and not in on_train_begin, for the sake of callbacks that load weights there.
        """
        self._check_constraints()
        self._batches, self._accumulation = _progress(self.model)
        self._prune_for_step(self._batches // self._accumulation)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Make the masks that hold when this execution, of one batch or more, is done."""
        done = batch + self.model.steps_per_execution
        steps = (self.params or {}).get("steps")
        if steps:
            done = min(done, steps)
        self._prune_for_step((self._batches + done) // self._accumulation)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Log the fraction of zeros."""
        # Nothing changes here, save where another callback wrote weights (SwapEMAWeights).
        self._apply_constraints()
        if logs is not None:
            size = sum(math.prod(target.variable.shape) for target in self._targets)
            logs["sparsity"] = sum(self._zeros()) / size

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Put the constraints back, after one last use: Keras has just written moving averages, if there are any."""
        if not self._constraints:
            return  # called by hand, once too often
        synchronize(self.model)
        self._apply_constraints()
        for target, constraint in zip(self._targets, self._constraints, strict=True):
            target.variable.constraint = constraint.inner
        remove_masks(self.model, [constraint.mask for constraint in self._constraints])
        self._constraints = ()
        self.model.make_train_function(force=True)
        self._warn_if_unfinished()

    def _prune_for_step(self, step: int) -> None:
        """Make masks for the sparsity after `step` optimizer steps, if it is not that of the masks there are."""
        # A LossScaleOptimizer skips updates, so that the step read at the next epoch may be an earlier one.
        self._step = max(step, self._step)
        sparsity = self.schedule(self._step)
        if sparsity == self._sparsity:
            return
        if not 0 <= sparsity < 1:
            raise ValueError(
                f"The 'schedule' parameter of Pruning must return a float in [0, 1). Got {sparsity!r} at step "
                f"{self._step} instead. For 80 % zeros return 0.8."
            )
        synchronize(self.model)
        with variable_scope(self.model):
            for target, constraint in zip(self._targets, self._constraints, strict=True):
                weight = ops.convert_to_tensor(target.variable)
                zeros = ops.convert_to_tensor(zero_count(sparsity, math.prod(weight.shape)), "int32")
                constraint.mask.assign(compiled(_new_mask)(weight, zeros))
        self._apply_constraints()
        self._sparsity = sparsity

    def _apply_constraints(self) -> None:
        with variable_scope(self.model):
            for target, constraint in zip(self._targets, self._constraints, strict=True):
                target.variable.assign(constraint(target.variable))

    def _check_constraints(self) -> None:
        for target, constraint in zip(self._targets, self._constraints, strict=True):
            if target.variable.constraint is not constraint:
                raise ValueError(
                    "The 'where' parameters of two Pruning callbacks in one fit must select different layers. Got "
                    f"'{target.variable.path}' selected by both instead. Give each callback layers of its own."
                )

    def _zeros(self) -> list[int]:
        counts = [compiled(_zeros_in)(ops.convert_to_tensor(target.variable)) for target in self._targets]
        return [int(count) for count in counts]

    def _warn_if_unfinished(self) -> None:
        end_step = getattr(self.schedule, "end_step", None)
        if end_step is not None and self._step < end_step:
            warnings.warn(
                f"Training ended at step {self._step}, before the pruning schedule does at step {end_step}: the "
                f"sparsity is {self.schedule(self._step):.3g} instead of {self.schedule(end_step):.3g}. Train "
                f"longer, or pass a schedule that ends at step {self._step} or before.",
                stacklevel=2,
            )


def _new_mask(weight: Any, zeros: Any) -> Any:
    return unstructured_mask(magnitude(weight), zeros)


def _zeros_in(weight: Any) -> Any:
    return ops.sum(ops.cast(ops.equal(weight, 0), "int32"))


def _progress(model: keras.Model) -> tuple[int, int]:
    """How many batches the optimizer has seen, and how many of them make one of its steps."""
    optimizer = innermost(model.optimizer)
    # `optimizer.iterations` counts steps, and would lose the batches that are accumulated for the next.
    batches = next(variable for variable in optimizer.variables if variable.name == "iteration")
    return int(batches.numpy()), optimizer.gradient_accumulation_steps or 1


def _check_where(where: Any) -> None:
    if isinstance(where, str):
        try:
            re.compile(where)
        except re.error as error:
            raise ValueError(
                f"The 'where' parameter of Pruning must be a regular expression. Got {where!r} instead: {error}. "
                "Escape special characters with a backslash."
            ) from error
    elif where is not None and not callable(where):
        raise TypeError(
            "The 'where' parameter of Pruning must be None, a regular expression or a function from layer to bool. "
            f"Got {where!r} instead. To prune one layer pass its path as a string."
        )
