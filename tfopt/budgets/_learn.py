"""`learn`: bits and channels as gates that are trained with the weights, in one `fit`, under a budget."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tfopt._samples import gather, some
from tfopt.analysis import judge_of, parts, sensitivity
from tfopt.budgets._budgets import BUDGETS, check_limits, is_of_shapes
from tfopt.budgets._closing import close, closed, effective_scores, zero_what_goes
from tfopt.budgets._gated_model import GatedKernel, GatedModel
from tfopt.budgets._layer_costs import alone
from tfopt.budgets._options import Option, Prices, channel_axes
from tfopt.budgets._report import Point
from tfopt.budgets._shapes import moves_of
from tfopt.budgets._space import check_space
from tfopt.budgets._width_masks import WidthMasks
from tfopt.channels import channel_groups, exactly_removable
from tfopt.graph import build_model, capture
from tfopt.quantization import QuantConfig
from tfopt.shrinking import count_macs, score, update_batch_norm

# The temperature of the gates falls from the one to the other over the epochs.
_WARM, _COLD = 2.0, 0.3
# The part of the epochs, the last, in which gates are closed and weights learn what is left.
_LAST = 0.25
# Samples that batch norms are measured again with.
_SAMPLES = 1024
_LEARNABLE = [name for name in BUDGETS if not is_of_shapes(name)] + ["macs"]


@dataclasses.dataclass(frozen=True, eq=False)
class Learned:
    """What `learn` found.

    Attributes:
        point: what each layer becomes.
        model: the float model, trained with the gates; channels that are to go are zero:
            `apply_point(learned.model, learned.point, samples)`.
        probabilities: of each value that could be chosen, by layer.

    Example: see `learn`.
    """

    point: Point
    model: keras.Model
    probabilities: Mapping[str, Mapping[Any, float]]


def learn(
    model: keras.Model,
    data: Any,
    budget: Mapping[str, float],
    space: Mapping[str, Sequence[float]] | None = None,
    *,
    target: str = "litert",
    epochs: int = 5,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    gate_learning_rate: float = 0.03,
    strength: float = 10.0,
    seed: int = 0,
) -> Learned:
    """Learns bits and channels of each layer together with the weights, in one `fit`, under a budget.

    Each kernel is the mean of itself rounded to every width, and each channel is as present as the widths that have it,
    by probabilities that are trained too; what all of it costs on average beyond the budget is added to the loss (see
    `GatedModel`). Before the last quarter of the epochs each gate is closed: the likeliest widths within the budget, of
    the channels that are largest by then, and the bits whose probabilities have the largest product within what is
    left, by the knapsack of `search`; weights go on with these. Activations stay float meanwhile. Where `search`
    measures damage without training, this sees what training makes up for; it takes a training.

    Args:
        model: a built float Keras model. It is not changed.
        data: `(x, y)` to train with.
        budget: as for `search`, of what prices are known for each kernel: `"bytes"`, `"compressed_bytes"`,
            `"nonzeros"`, `"mean_bits"`, `"macs"`. Bytes are those of kernels, and not of the rest of a file.
        space: `weight_bits` and `channels`, as for `search`.
        target: the runtime.
        epochs: of the training.
        batch_size: samples in a step.
        learning_rate: of Adam for weights.
        gate_learning_rate: of Adam for gates.
        strength: of the penalty: what it costs to be over a budget by all of it, in units of the loss.
        seed: of everything that is random.

    Returns:
        A `Learned`: `point`, whose costs are as foreseen, and the trained float `model`.

    Raises:
        ValueError: the budget or the space is none of the above, nothing within the budget is left, or there are no
            labels.

    Example:

    >>> import keras, numpy as np
    >>> from tfopt.budgets import Learned, learn
    >>> layers = [keras.layers.Dense(32, activation="relu", name="a"), keras.layers.Dense(4, name="b")]
    >>> model = keras.Sequential([keras.Input((16,)), *layers])
    >>> x = np.random.default_rng(0).normal(size=(64, 16)).astype("float32")
    >>> y = x[:, :4].argmax(axis=1)
    >>> found: Learned = learn(model, (x, y), {"mean_bits": 4.5}, {"weight_bits": (8, 4)}, epochs=1)
    >>> found.point.costs["mean_bits"] <= 4.5, list(found.probabilities["a"])
    (True, [4, 8])
    """
    otherwise = "is no sum over kernels. Use search."
    limits = check_limits(budget, target, "learn", _LEARNABLE, otherwise)
    full = check_space({"sparsity": (0.0,), **(space or {})}, budget)
    x, y = gather(data, getattr(model, "inputs", None) or 1, "data")
    if y is None:
        raise ValueError("The 'data' argument must be (x, y), as this trains. Got inputs alone.")
    keras.utils.set_random_seed(seed)
    task = judge_of(model, x, y).task
    base = build_model(capture(model))
    kernels, prices = _kernels(base, some(x, None, 64)[0], full, limits, target)
    moves = moves_of(base, {**full, "rank": (1.0,)})
    found = exactly_removable(channel_groups(capture(base)))
    size = sum(prices.sizes.values())
    totals = {name: most * size if BUDGETS[name].averaged else most for name, most in limits.items()}
    gated = GatedModel(base, kernels, moves, found, score(found, "magnitude", base), totals, strength, seed)
    gated.compile(_TwoRates(learning_rate, gate_learning_rate, gated), task.loss)
    last = int(_LAST * epochs)
    ratio = (_COLD / _WARM) ** (1 / max(epochs - last - 1, 1))
    cool = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: gated.temperature.assign(_WARM * ratio**epoch)
    )
    gated.fit(x, y, batch_size=batch_size, epochs=epochs - last, callbacks=[cool], verbose=0)
    point, probabilities = closed(gated, base, limits, target, prices)
    close(gated, point)
    # What the training made large is kept, not what was large before it.
    gated.widths = WidthMasks(moves, found, effective_scores(found, base))
    if last:
        gated.compile(keras.optimizers.Adam(learning_rate), task.loss)
        gated.fit(x, y, batch_size=batch_size, epochs=last, verbose=0)
    zero_what_goes(gated, base, point)
    # They saw kernels between their widths; now each is rounded to its own.
    update_batch_norm(gated, parts(*some(x, y, _SAMPLES), batch_size))
    return Learned(point, base, probabilities)


class _TwoRates(keras.optimizers.Adam):
    """Adam with a rate of its own for gates."""

    def __init__(self, weights: float, gates: float, gated: GatedModel) -> None:
        super().__init__(weights, name="adam")
        self.factor = gates / weights
        self.ids = {id(one) for one in (*gated.bit_gates, *gated.width_gates)}

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate = learning_rate * self.factor if id(variable) in self.ids else learning_rate
        super().update_step(gradient, variable, rate)


def _kernels(
    base: keras.Model, x: Any, space: Mapping[str, Sequence[float]], limits: Mapping[str, float], target: str
) -> tuple[list[GatedKernel], Prices]:
    """The kernels with choices of bits, and the prices of these."""
    options = [Option(int(bits)) for bits in sorted(space["weight_bits"])]
    prices = Prices({name: BUDGETS[name].price for name in limits if not is_of_shapes(name)}, target)  # type: ignore[misc]
    sensitivity(
        base,
        x,
        techniques=prices.techniques(options),
        measured=False,
        proxies=(),
        config=QuantConfig.for_target(target),
    )
    found = []
    for node in capture(base).nodes:
        if node.path not in prices.sizes:
            continue
        (kernel,) = (one for one in node.op.weights if len(one.shape) > 1 and one.name != "bias")
        own = {name: [prices.paid[node.path, one.name][name] for one in options] for name in prices.prices}
        macs = count_macs(alone(node))
        found.append(
            GatedKernel(
                node.path, kernel, tuple(one.bits for one in options), channel_axes(node.op), own, macs
            )
        )
    return found, prices
