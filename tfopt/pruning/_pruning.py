"""The Pruning callback: it masks weights on a schedule during `fit`; the model itself stays a plain Keras model."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from tfopt._keras_model import FitCallback
from tfopt.graph import LayerFilter
from tfopt.pruning._backend import reconcile, synchronize
from tfopt.pruning._budgets import Bounds, check_scope
from tfopt.pruning._criteria import get_criterion
from tfopt.pruning._find_groups import find_groups
from tfopt.pruning._in_steps import in_steps, warn_if_unfinished
from tfopt.pruning._mask_set import MaskSet, kernels_of, zeros_in
from tfopt.pruning._options import check_criterion, check_options, check_scheduled, check_where, growth_of
from tfopt.pruning._regrowth import Regrowth
from tfopt.pruning._report import LayerSparsity, PruningReport
from tfopt.pruning._restored import after_other_callbacks, warn_of_restored, warn_of_unmasked_steps
from tfopt.pruning._rewinding import Rewinder
from tfopt.pruning._statistics import Samples, collect, new_seed
from tfopt.pruning._step_counter import StepCounter
from tfopt.pruning._targets import labels_of


class Pruning(FitCallback):
    """Sets the least important weights to zero while the model trains, as many as the schedule says.

    Give it to `fit`; there is nothing to wrap, to strip or to remember. It works with any model, optimizer,
    strategy, `jit_compile` and `steps_per_execution`. After `n` optimizer steps the pruned weights hold
    `round(schedule(n) * size)` zeros: by default in each layer, the smallest weights (Han et al. 2015,
    https://arxiv.org/abs/1506.02626), on a schedule such as that of Zhu & Gupta (2017,
    https://arxiv.org/abs/1710.01878). Where whole units are removed (blocks, channels, heads), the count is that, or
    lower by less than one unit; and each layer keeps one unit, the most important, whatever is asked. The zeros are
    in the weights themselves, so that any `ModelCheckpoint` is as sparse as the log, and a run that is resumed from
    weights and optimizer continues where it stopped: the masks are made from the zeros.

    While `fit` runs, each pruned weight has the constraint `mask * own(mask * weight)`, where `own` is the constraint
    that you gave it; it is restored when training ends. A later `fit` is therefore free to fill the zeros: pass
    `Pruning(ConstantSparsity(0.8))`, with the same pattern and scope, to it to keep them. When `fit` was interrupted
    by an error, call `pruning.on_train_end()` to restore the constraints.

    Steps are those of the optimizer that moves the pruned weights; of several, as in a GAN, the slowest (give each
    network a callback with `where=` to follow its own). In a loop of your own (`examples/multi_worker.py`) pass it in
    a `CallbackList`, call `on_train_begin` before it traces, update by `optimizer.apply`; batches count as steps there.

    Other callbacks may be listed before or after it. Weights of an earlier epoch that one puts back at the end
    (`EarlyStopping(restore_best_weights=True)`) are pruned again, with a warning. Only a `ModelCheckpoint` of averages
    that `SwapEMAWeights(swap_on_epoch=True)` swaps in must be listed after it.

    Adds to the logs of each epoch `sparsity`, the fraction of zeros over all pruned weights, and `mask_change`, the
    fraction of them whose mask changed in the epoch.

    Args:
        schedule: `PolynomialDecay`, another schedule, or any function from an optimizer step (int) to a sparsity
            in [0, 1). An optimizer step is an update of the weights: with `gradient_accumulation_steps=4`, it
            takes four batches.
        where: which layers to prune: None for those where pruning pays (see `find_targets`: the first convolution,
            depthwise kernels, embeddings and the output layer stay dense where they are small), a regular expression
            that is searched in `layer.path`, or a function that takes a layer and returns a bool; `".*"` prunes all
            that have kernels.
        pattern: the units, which become zero as a whole. `"unstructured"`: single weights. `"2:4"`, any `"N:M"`: all
            but N of each M consecutive inputs of an output; let the schedule end at (M - N) / M. `"1x4"`, any `"RxC"`:
            blocks of R outputs times C inputs, of one tap in convolutions. `"channels"`: whole filters, neurons and
            attention heads as `shrink` removes them: those that meet in an addition, a gate or attention are coupled,
            and become zero together, with the biases, gammas and betas after them, so that they are zero wherever they
            are read; a layer that is coupled with one that stays dense stays dense too. `"heads"`: attention heads, in
            query, key, value and output kernels (with grouped queries, a key and value head and all that read it).
        scope: how zeros are divided between layers. `"layer"`: each has the same sparsity. `"global"`: the lowest
            scores of all layers together are pruned. `"erk"`: `erk_densities`.
        criterion: what is pruned first: `"magnitude"`; `"lamp"`, magnitude made comparable between layers; `"taylor"`,
            `"fisher"` and `"wanda"`, which read `data`; `"batch_norm"`, for channels; `"random"`;
            `"soft_threshold"`, magnitude that also shrinks the kept weights by the threshold (unstructured only); or a
            function, in `keras.ops`, from a weight to scores of its shape. The score of a unit is the mean over its
            weights.
        data: for criteria and regrowth that read samples: `(inputs, targets)`, or a list, `tf.data.Dataset` or
            generator of a few such batches. Gradients are those of the model's own compiled loss.
        bounds: lowest and highest sparsity of a layer for `scope="global"`: a pair, or a dict from regular expressions
            (the first that is found in the kernel's path counts) to pairs. A target outside of them takes precedence.
        regrowth: `RigL` or `SET`, to exchange weights at constant sparsity; `SRSTE`, to let pruned weights move on and
            choose again, also in groups of `"N:M"`; None to never bring weights back.
        unit: what the schedule and regrowth count: `"step"`, or `"epoch"`; `frequency` is in steps in both cases.
        log_layers: whether to log the sparsity of every layer too, as `sparsity/` and the kernel's path.

    Raises:
        TypeError: `schedule` is not callable, or an argument is of another type.
        ValueError: an argument is not one of the above, or two cannot be combined; or, from `fit`, the model is not
            built, `where` matches no layer, nothing is left to prune, or another Pruning callback prunes the same
            weight.

    >>> import keras, numpy as np, tfopt.pruning
    >>> model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(10, name="head")], name="net")
    >>> model.compile("adam", "mse")
    >>> pruning = tfopt.pruning.Pruning(tfopt.pruning.ConstantSparsity(0.75))
    >>> history = model.fit(np.ones((8, 16)), np.ones((8, 10)), callbacks=[pruning], verbose=0)
    >>> history.history["sparsity"]
    [0.75]
    >>> print(pruning.report)
    Sparsity of 'net'
    layer      weight  sparsity
    net/head  16 × 10    75.0 %
    75.0 % of the 160 pruned weights are zero, 70.6 % of all 170.
    Biases stay dense.
    """

    def __init__(
        self,
        schedule: Callable[[int], float],
        where: LayerFilter = None,
        *,
        pattern: str = "unstructured",
        scope: str = "layer",
        criterion: str | Callable[[Any], Any] = "magnitude",
        data: Any = None,
        bounds: Bounds = (0.0, 0.98),
        regrowth: Regrowth | None = None,
        unit: str = "step",
        log_layers: bool = False,
    ) -> None:
        super().__init__()
        check_where(where)
        check_scope(scope, bounds)
        check_options(schedule, pattern, scope, regrowth, unit)
        self.schedule = schedule
        self.where = where
        self.pattern = pattern
        self.scope = scope
        self.criterion = criterion
        self.data = data
        self.bounds = bounds
        self.regrowth = regrowth
        self.unit = unit
        self.log_layers = log_layers
        self._criterion = get_criterion(criterion, pattern)
        self._growth = growth_of(regrowth)
        check_criterion(data, criterion, self._criterion, regrowth, self._growth)
        self._samples = Samples(data)
        self._seed = new_seed()
        self._rewinder: Rewinder | None = None
        self._masks: MaskSet | None = None
        self._groups: tuple[Any, ...] = ()

    @property
    def report(self) -> PruningReport:
        """Which weights are pruned and how sparse they are now, and which layers stay dense and why."""
        if not self._groups:
            raise ValueError(
                "The 'report' of Pruning is made in fit. Call model.fit(..., callbacks=[pruning]) first."
            )
        synchronize(self.model)
        members = kernels_of(self._groups)
        pruned = [
            LayerSparsity(label, tuple(member.variable.shape), zeros)
            for label, member, zeros in zip(labels_of(members), members, zeros_in(members), strict=True)
        ]
        dense = [LayerSparsity(path, reason=reason) for path, reason in self._dense]
        return PruningReport(self.model.name, (*pruned, *dense), self.model.count_params(), self.pattern)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Find the weights, and attach a mask to each that keeps everything."""
        self._groups, self._dense = find_groups(self.model, self.where, self.pattern)
        decay = self.regrowth.decay if self.regrowth else None
        self._masks = MaskSet(self.model, self._groups, self._criterion, self.scope, self.bounds, decay)
        self._counter = StepCounter(self.model, [member.variable for member in self._masks.kernels])
        # A train function that was traced before does not know the constraints.
        self.model.make_train_function(force=True)
        self._step = 0
        self._sparsity: float | None = None
        self._turn: int | None = None
        self._steps_per_epoch: float | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Count steps, and make the first masks: not in on_train_begin, where other callbacks may load weights."""
        self._running.check_in_force()
        synchronize(self.model)
        self._counter.begin_epoch()
        self._set_unit()
        self._watch(self._counter.at(0))
        self._prune_for_step(self._counter.at(0))

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Make the masks that hold when this execution, of one batch or more, is done."""
        if self._counter.learn(batch):
            self._set_unit()
        done = batch + self.model.steps_per_execution
        done = min(done, (self.params or {}).get("steps") or done)
        self._watch(self._counter.at(batch))
        self._prune_for_step(self._counter.at(done))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Log the fraction of zeros."""
        reconcile(self.model)
        if not self._running.mask_averages() and self._running.returned():
            self._running.apply()
            warn_of_unmasked_steps(self.model)
        if logs is None:
            return
        zeros = self._running.zeros()
        logs["sparsity"] = sum(zeros) / self._running.size
        logs["mask_change"] = self._running.changed()
        if self.log_layers:
            for member, count in zip(self._running.kernels, zeros, strict=True):
                logs[f"sparsity/{member.variable.path}"] = count / math.prod(member.variable.shape)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Mask the moving averages, which SwapEMAWeights evaluates."""
        if self._masks is not None:
            reconcile(self.model)
            self._masks.mask_averages()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Restore the constraints; what other callbacks write into the weights after this is pruned as well."""
        if self._masks is None:
            return  # training had ended already: this is a second call
        masks, self._masks = self._masks, None
        reconcile(self.model)
        masks.forget()
        if not masks.mask_averages():
            self._prune_restored(masks)
        masks.remove()
        self.model.make_train_function(force=True)
        after_other_callbacks(self, lambda: self._prune_restored(masks))
        warn_if_unfinished(getattr(self, "_in_steps", self.schedule), self._step, self._counter.note())

    def _prune_restored(self, masks: MaskSet) -> None:
        """Prune weights of an earlier epoch, which another callback has put back, to the sparsity of the last one."""
        if not self._sparsity or not masks.returned():
            return
        before = masks.zeros()
        masks.prune(self._sparsity, self._collect(self._criterion.needs))
        warn_of_restored(self.model, sum(before) / masks.size, sum(masks.zeros()) / masks.size)

    @property
    def _running(self) -> MaskSet:
        if self._masks is None:
            raise ValueError("Pruning has no masks outside of fit. Pass it in fit(callbacks=[...]).")
        return self._masks

    def _set_unit(self) -> None:
        """The schedule and the regrowth in optimizer steps."""
        steps = (self.params or {}).get("steps")
        if self.unit == "epoch" and steps is None:
            raise ValueError(
                "The 'unit' argument of Pruning must be 'step' where the number of batches is not known. Got 'epoch' "
                "instead. Pass steps_per_epoch to fit, or data that has a length."
            )
        steps_per_epoch = steps * self._counter.per_batch if steps and self.unit == "epoch" else 1.0
        if steps_per_epoch == self._steps_per_epoch:
            return
        self._steps_per_epoch = steps_per_epoch
        self._in_steps = in_steps(self.schedule, self._steps_per_epoch)
        self._regrowth: Any = self.regrowth and in_steps(self.regrowth, self._steps_per_epoch)
        rewinds_to = getattr(self._in_steps, "rewinds_to", None)
        if rewinds_to is not None and (self._rewinder is None or self._rewinder.step != rewinds_to):
            self._rewinder = Rewinder(rewinds_to)

    def _watch(self, step: int) -> None:
        if self._rewinder is not None:
            synchronize(self.model)
            self._rewinder.watch(self.model, step)

    def _prune_for_step(self, step: int) -> None:
        """Make masks for the sparsity after `step` optimizer steps, unless the current masks have it."""
        # A LossScaleOptimizer skips updates, so the step read at the next epoch may be an earlier one.
        self._step = max(step, self._step)
        sparsity = self._in_steps(self._step)
        turn = self._regrowth.turn(self._step) if self._regrowth else None
        if sparsity != self._sparsity:
            check_scheduled(sparsity, self._step)
            self._new_round(sparsity)
            self._sparsity = sparsity
        elif turn != self._turn:
            self._exchange()
        self._turn = turn

    def _new_round(self, sparsity: float) -> None:
        """Rank the weights as they are now, rewind the kept ones if the schedule asks for it, and mask the others."""
        synchronize(self.model)
        if not sparsity:
            self._running.keep_all()
            return
        statistics = self._collect(self._criterion.needs)
        rewinds = self._rewinder is not None and self._sparsity is not None
        rewind = (lambda: self._rewinder.rewind(self.model, self._step)) if rewinds else None  # type: ignore[union-attr]
        self._running.prune(sparsity, statistics, before_masking=rewind)

    def _exchange(self) -> None:
        """Replace active weights by others, as `regrowth` says."""
        if not self._sparsity:
            return
        synchronize(self.model)
        if self._growth is None:
            self._running.prune(self._sparsity, self._collect(self._criterion.needs))
            return
        statistics = self._collect((*self._criterion.needs, *self._growth.needs))
        self._running.regrow(self._regrowth(self._step), self._growth, statistics)

    def _collect(self, needs: Iterable[str]) -> dict[int, dict[str, Any]]:
        # A new seed at every update, the same ones in every run.
        return collect(needs, self._groups, self.model, self._samples, self._seed + 1009 * self._step)
