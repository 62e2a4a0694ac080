"""`refine`: Optuna goes on from the fast answer, with models that are trained and measured."""

import dataclasses
import functools
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tfopt.budgets._objective import Objective
from tfopt.budgets._report import Point, RefineReport

INSTALL = "pip install 'tfopt[search]'"
# Seconds after which a trial of a process that says nothing more counts as failed.
_HEARTBEAT, _GRACE = 20, 60
_STARTED, _COSTS = "started", "costs"


def refine(
    objective: Objective,
    trials: int,
    *,
    storage: str | os.PathLike | None = None,
    name: str = "tfopt",
    start: Sequence[Point] = (),
    seed: int = 0,
) -> RefineReport:
    """Searches a space with Optuna: every trial is a model that is made, trained as the objective says, and measured.

    What has a limit in the objective's budget is kept within it; what has None is minimized beside the loss, so that a
    front comes out. Trials whose file is over a limit are not trained. Where the loss alone is minimized, a trial that
    is worse after an epoch than the median of the others is stopped (Optuna's `MedianPruner`); where there is a front,
    one that is worse than a finished trial that is cheaper by every budget. The sampler is TPE (Bergstra et al. 2011,
    https://papers.nips.cc/paper/4443; for fronts Ozaki et al. 2020, https://doi.org/10.1145/3377930.3389817).

    With a storage a killed search goes on where it was, and several processes, on one machine or many, share the work:
    each calls this function with the same arguments. In one process the same seed gives the same trials, also with a
    pause between them.

    Args:
        objective: the model, the data, the budget and the space.
        trials: how many are finished in the end, those found in the storage included; of several processes each may be
            at one more when the last is done.
        storage: a file, which is made a data base of SQLite, or the URL of one, as Optuna takes it; None for none.
        name: of the study in it.
        start: points to try first, such as `search(...).points`; those that the space does not have are brought to it.
        seed: of what is drawn.

    Returns:
        A `RefineReport`: the front, and `best`.

    Raises:
        ValueError: `trials` is below 1.
        ImportError: Optuna is not installed.

    Example:

    >>> import keras, numpy as np
    >>> from tfopt.budgets import Objective, RefineReport, refine
    >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(32, name="a")])
    >>> x = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")
    >>> objective = Objective(model, x, {"bytes": None}, {"weight_bits": (8, 4)})
    >>> report: RefineReport = refine(objective, trials=4)
    >>> report.points[0].layers[0].bits
    4
    """
    if not isinstance(trials, int) or trials < 1:
        raise ValueError(
            f"The 'trials' argument must be a whole number from 1. Got {trials!r} instead. Pass 50."
        )
    optuna = _optuna()
    free = [budget for budget, most in objective.budget.items() if most is None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of heartbeats
        study = optuna.create_study(
            storage=_storage(optuna, storage),
            study_name=name,
            directions=["minimize"] * (1 + len(free)),
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
        )
        if _STARTED not in study.user_attrs:
            study.set_user_attr(_STARTED, True)
            for point in start:
                study.enqueue_trial(objective.start(point), skip_if_exists=True)
        finished = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
        while (done := len(study.get_trials(deepcopy=False, states=finished))) < trials:
            # A sampler of its own for each trial: what it draws does not depend on which process drew before.
            study.sampler = optuna.samplers.TPESampler(
                seed=seed + done, n_startup_trials=min(10, max(trials // 4, 1))
            )
            study.optimize(lambda trial: _run(optuna, objective, trial, free, seed), n_trials=1)
    return _report(optuna, study, objective, free)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ImportError(f"Optuna is not installed. Install it with: {INSTALL}") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _storage(optuna: Any, storage: str | os.PathLike | None) -> Any:
    if storage is None:
        return None
    text = os.fspath(storage)
    url = text if "://" in text else f"sqlite:///{os.path.abspath(text)}"
    return optuna.storages.RDBStorage(
        url,
        heartbeat_interval=_HEARTBEAT,
        grace_period=_GRACE,
        # Several processes write to one file: they wait for each other.
        engine_kwargs={"connect_args": {"timeout": 60}} if url.startswith("sqlite") else None,
    )


def _run(optuna: Any, objective: Objective, trial: Any, free: Sequence[str], seed: int) -> Any:
    """One trial: the values of its objectives."""
    keras.utils.set_random_seed(seed)
    point = objective.point(trial.suggest_categorical)
    q, costs = objective.costs(point)
    limits = {name: most for name, most in objective.budget.items() if most is not None}
    trial.set_user_attr(_COSTS, costs)
    for name, most in limits.items():
        trial.set_constraint(name, costs[name] / most - 1)
    if any(costs[name] > most for name, most in limits.items()):
        raise optuna.TrialPruned("over a limit")

    def report(epoch: int, loss: float) -> None:
        if free:
            stop = _is_beaten(optuna, trial, epoch, loss, costs)
        else:
            trial.report(loss, epoch)
            stop = trial.should_prune()
        if stop:
            raise optuna.TrialPruned(f"after epoch {epoch + 1}")

    loss = objective.loss(q, point, report)
    return (loss, *(costs[name] for name in free)) if free else loss


def _is_beaten(optuna: Any, trial: Any, epoch: int, loss: float, costs: dict[str, float]) -> bool:
    """Whether a finished trial had less loss after the same epoch, and is cheaper: Optuna prunes no fronts itself."""
    trial.set_user_attr(f"epoch {epoch}", loss)
    complete = (optuna.trial.TrialState.COMPLETE,)
    return any(
        other.user_attrs.get(f"epoch {epoch}", float("inf")) < loss
        and all(other.user_attrs[_COSTS][name] <= cost for name, cost in costs.items())
        for other in trial.study.get_trials(deepcopy=False, states=complete)
    )


def _report(optuna: Any, study: Any, objective: Objective, free: Sequence[str]) -> RefineReport:
    states = optuna.trial.TrialState
    every = study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))
    fits = [one for one in every if one.state == states.COMPLETE]
    rows = [((*one.values,), one) for one in fits]
    kept = [
        one
        for values, one in rows
        if not any(other != values and all(map(float.__le__, other, values)) for other, _ in rows)
    ]
    points: dict[tuple[Any, ...], Point] = {}
    for one in kept:
        made = objective.point(functools.partial(_chosen, one.params))
        point = dataclasses.replace(made, costs=one.user_attrs[_COSTS], loss=round(one.values[0], 6))
        points.setdefault((tuple(point.costs.values()), point.loss), point)
    front = sorted(points.values(), key=lambda point: (tuple(point.costs.values()), point.loss))
    return RefineReport(
        name=objective.model.name,
        budget=objective.budget,
        points=tuple(front),
        best=min(front, key=lambda point: point.loss, default=None),
        trials=len(every),
        stopped=len(every) - len(fits),
    )


def _chosen(params: Mapping[str, Any], name: str, values: Sequence[Any]) -> Any:
    return params[name]
