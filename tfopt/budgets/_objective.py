"""A model in a space as a plain function: choices in, loss and costs out, for any program that tunes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from tfopt._samples import gather, some
from tfopt.analysis import Technique, judge_of, sensitivity
from tfopt.budgets._apply import apply_point
from tfopt.budgets._budgets import check_budget
from tfopt.budgets._measured import measure_model
from tfopt.budgets._narrowing import mean_loss
from tfopt.budgets._options import Option, Prices
from tfopt.budgets._report import LayerChoice, Point
from tfopt.budgets._shapes import Shape, moves_of
from tfopt.budgets._space import check_space
from tfopt.clustering import Clustering
from tfopt.graph import filters_by_value
from tfopt.pruning import ConstantSparsity, Pruning
from tfopt.quantization import QuantConfig
from tfopt.shrinking import update_batch_norm

# From a name and its values to one of these: `Choice` of KerasTuner, `suggest_categorical` of Optuna.
Choose = Callable[[str, Sequence[Any]], Any]


class Objective:
    """What becomes of a model with some choices, as a function that other programs minimize.

    A choice has a name and values: `"conv.weight_bits"`, `[4, 8]`. `refine` has Optuna choose; for KerasTuner:

    ```python
    class Tuner(keras_tuner.RandomSearch):
        def run_trial(self, trial):
            return objective(trial.hyperparameters.Choice)

    Tuner(objective=keras_tuner.Objective("loss", "min"), max_trials=20).search()
    ```

    Args:
        model: a built float Keras model. It is not changed.
        data: `(x, y)`, or inputs alone: what is trained and measured with.
        budget: as for `search`; costs of all of it are measured, and None is for one that has no limit.
        space: as for `search`.
        target: the runtime.
        epochs: of training each model, with the loss of `search`; needs labels.
        learning_rate: of Adam in it.
        validation: `(x, y)` to measure with; else the data.
        samples: how many are calibrated with.

    Raises:
        ValueError: as for `search`, or there are epochs without labels.

    Example:

    >>> import keras, numpy as np
    >>> from tfopt.budgets import Objective
    >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(32, name="a")])
    >>> x = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")
    >>> objective = Objective(model, x, {"bytes": None}, {"weight_bits": (8, 4), "sparsity": (0.0,)})
    >>> small, large = (objective(lambda name, values: values[at])["bytes"] for at in (0, 1))
    >>> objective.names, large - small
    (('a.weight_bits',), 1024)
    """

    def __init__(
        self,
        model: keras.Model,
        data: Any,
        budget: Mapping[str, float | None],
        space: Mapping[str, Sequence[float]] | None = None,
        *,
        target: str = "litert",
        epochs: int = 0,
        learning_rate: float = 1e-3,
        validation: Any = None,
        samples: int = 256,
    ) -> None:
        check_budget({name: 1 if most is None else most for name, most in budget.items()}, target, None)
        self.model, self.budget, self.target = model, dict(budget), target
        self.epochs, self.learning_rate = epochs, learning_rate
        self.space = check_space(space or {}, budget)
        inputs = getattr(model, "inputs", None) or 1
        self.x, self.y = gather(data, inputs, "data")
        if epochs and self.y is None:
            raise ValueError("The 'data' argument must be (x, y) to train for epochs. Got inputs alone.")
        self.calibration, _ = some(self.x, self.y, samples)
        self.held = (self.x, self.y) if validation is None else gather(validation, inputs, "validation")
        self.judge = judge_of(model, *self.held)
        self.moves = moves_of(model, self.space)
        plain = Prices({}, target)
        one = Option(8)
        technique = Technique(one.name, one.name, lambda spot: plain.techniques([one])[0].apply(spot))
        found = sensitivity(
            model,
            self.calibration,
            techniques=[technique],
            measured=False,
            proxies=(),
            config=QuantConfig.for_target(target),
        )
        self.paths = tuple(row.path for row in found.rows if not row.reason)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all choices."""
        found: list[str] = []
        self.point(lambda name, values: found.append(name) or values[-1])  # type: ignore[func-returns-value]
        return tuple(found)

    def point(self, choose: Choose) -> Point:
        """The point of some choices; what it costs and loses is not known yet.

        Args:
            choose: from a name and the values to one of these.
        """
        shape = Shape()
        for move in self.moves:
            value = choose(f"{move.name}.{move.field}", [*reversed(move.values), 1.0])
            shape = move.apply(shape, value) if value < 1 else shape
        layers = []
        for path in self.paths:
            if path in shape.ranks:
                continue
            chosen = {
                name: choose(f"{path}.{name}", sorted(self.space[name]))
                if len(self.space[name]) > 1
                else self.space[name][0]
                for name in ("weight_bits", "sparsity", "n_clusters")
            }
            values = chosen["n_clusters"] if chosen["weight_bits"] == 8 else 0
            layers.append(
                LayerChoice(path, int(chosen["weight_bits"]), float(chosen["sparsity"]), int(values))
            )
        return Point(
            dict.fromkeys(self.budget, 0.0), 0.0, tuple(layers), self.target, shape.channels, shape.ranks
        )

    def start(self, point: Point) -> dict[str, float]:
        """The choices that make a point, by name."""
        layers = {one.path: one for one in point.layers}
        fields = {"weight_bits": "bits", "sparsity": "sparsity", "n_clusters": "n_clusters"}
        found: dict[str, float] = {}

        def choose(name: str, values: Sequence[Any]) -> Any:
            path, _, field = name.rpartition(".")
            if field in fields:
                wanted = getattr(layers[path], fields[field])
            else:
                wanted = getattr(point, field).get(path.split(", ")[0], 1.0)
            found[name] = min(values, key=lambda value: abs(value - wanted))
            return found[name]

        self.point(choose)
        return found

    def costs(self, point: Point) -> tuple[keras.Model, dict[str, float]]:
        """The quantized model of a point, not trained, and what its file takes of each budget."""
        q = apply_point(self.model, point, self.calibration)
        return q, measure_model(self.model, q, point, tuple(self.budget))

    def loss(self, q: keras.Model, point: Point, report: Callable[[int, float], None] | None = None) -> float:
        """The mean loss of a point's model, after its training.

        Args:
            q: the model; it is trained.
            point: the point.
            report: is told the loss after each epoch.
        """
        if self.epochs:
            task = self.judge.task
            q.compile(keras.optimizers.Adam(self.learning_rate), task.loss)
            callbacks = [
                Pruning(ConstantSparsity(zeros), where)
                for zeros, where in filters_by_value(
                    {one.path: one.sparsity for one in point.layers if one.sparsity}
                )
            ] + [
                Clustering(values, where)
                for values, where in filters_by_value(
                    {one.path: one.n_clusters for one in point.layers if one.n_clusters}
                )
            ]
            for epoch in range(self.epochs):
                q.fit(self.x, self.y, batch_size=64, epochs=1, callbacks=callbacks, verbose=0)
                update_batch_norm(q, self.calibration)  # a short training leaves them behind the weights
                if report is not None and epoch < self.epochs - 1:
                    report(epoch, mean_loss(q, self.held[0], self.judge))
        return mean_loss(q, self.held[0], self.judge)

    def __call__(self, choose: Choose) -> dict[str, float]:
        """The loss of what some choices make, and what its file takes: `{"loss": 0.4, "bytes": 51234}`.

        Args:
            choose: from a name and the values to one of these.
        """
        point = self.point(choose)
        q, costs = self.costs(point)
        return {"loss": self.loss(q, point), **costs}
