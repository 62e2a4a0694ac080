"""The table of techniques: a section of the recipe, the stage at which it acts, and what it does there.

A new technique is a section in `tfopt/recipes/_sections.py` and a row here.
"""

import dataclasses
import enum
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from tfopt._report import Report
from tfopt._samples import count
from tfopt._to_latency import factorize, shrink
from tfopt.budgets import search
from tfopt.clustering import Clustering
from tfopt.distillation import Distiller, SoftTargets
from tfopt.graph import filters_by_value
from tfopt.kernels import TARGETS
from tfopt.pipeline._budget import SEARCHED
from tfopt.pipeline._run import Run
from tfopt.pruning import PolynomialDecay, Pruning
from tfopt.quantization import QuantConfig, Ranges, quantize
from tfopt.shrinking import update_batch_norm


class Stage(enum.Enum):
    """When a technique acts, and on what; in this order."""

    REWRITES = "a float model becomes another one"
    QUANTIZES = "the float model becomes one of integers"
    TEACHES = "the model that is trained becomes one that trains it"
    IN_FIT = "callbacks of the training get one more"
    EXPORTS = "arguments of `export` get some more"


@dataclasses.dataclass(frozen=True)
class Applied:
    """What a technique did.

    Attributes:
        thing: what its stage makes: a model, a callback, or arguments.
        words: what was done, in a line; asked for when all is over.
        report: the layers; None where there is nothing to say of them.
        found: what was found out before, by the name of what did.
    """

    thing: Any
    words: Callable[[], str]
    report: Callable[[], Report | None] = lambda: None
    found: Mapping[str, Report] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Technique:
    """A row of the table.

    Attributes:
        name: its section of the recipe.
        stage: when it acts.
        apply: acts: from what the stage works on, the run, the section and the epochs. A string is why it does not.
        trains: whether training should follow where the recipe does not say.
        saying: what the user is told meanwhile.
        resumes: whether the weights and the optimizer's variables hold all that it needs to go on.
    """

    name: str
    stage: Stage
    apply: Callable[[Any, Run, Any, int], Applied | str]
    trains: bool = False
    saying: str = ""
    resumes: bool = True


def _shrink(model: keras.Model, run: Run, section: Any, epochs: int) -> Applied:
    settings = dataclasses.asdict(section)
    layers = settings.pop("layers")
    small = shrink(model, **{**settings, "channels": layers or settings["channels"]})
    updated = update_batch_norm(small, run.calibration())  # their old statistics are of all channels
    (before, after), macs = small.report.params, small.report.macs
    words = f"{before:,} parameters became {after:,}"
    if macs:
        words += f", {macs[0]:,} multiply-accumulates {macs[1]:,}"
    if updated:
        words += f"; {updated} batch norms measured again"
    return Applied(small, lambda: words, lambda: small.report)


def _factorize(model: keras.Model, run: Run, section: Any, epochs: int) -> Applied:
    settings = dataclasses.asdict(section)
    ranks = settings.pop("layers") or None
    small = factorize(model, ranks=ranks, calibration=run.calibration(), **settings)
    before, after = model.count_params(), small.count_params()
    return Applied(small, lambda: f"{before:,} parameters became {after:,}", lambda: small.report)


def _bits(model: keras.Model, run: Run, section: Any) -> tuple[dict[str, int], dict[str, Report]]:
    """The bits of single layers: as the recipe says, else such that the file is as small as it says; and the search."""
    if section.max_bytes is None or section.layers:
        return dict(section.layers), {}
    run.say("Searching for the bits of each layer")
    x = run.calibration()
    labels = None if run.train[1] is None else run.train[1][: count(x)]
    form = "compressed_bytes" if run.recipe.export.compress else "bytes"
    bits = [one for one in SEARCHED if one <= section.weight_bits]
    space = {"weight_bits": bits, "sparsity": (0.0,)}
    found = search(
        model,
        x if labels is None else (x, labels),
        {form: section.max_bytes},
        space,
        target=run.recipe.target,
    )
    if found.best is None:
        raise ValueError(
            f"The 'quantize.max_bytes' key must be at least {found.points[0].costs[form]:,}, what the file takes with "
            f"weights of {bits[-1]} bits. Got {section.max_bytes:,}. Raise it, or shrink the model."
        )
    return {one.path: one.bits for one in found.best.layers}, {"search": found}


def _quantize(model: keras.Model, run: Run, section: Any, epochs: int) -> Applied:
    layers, found = _bits(model, run, section)
    config = QuantConfig.for_target(
        run.recipe.target,
        weight_bits=section.weight_bits,
        activation_bits=section.activation_bits,
        residual_bits=section.residual_bits,
        ranges=Ranges(method=section.ranges),
        overrides={f"^{re.escape(path)}$": {"weight_bits": bits} for path, bits in layers.items()},
        **({"strict": True} if section.strict else {}),
    )
    # What improves roundings is for when nobody trains afterwards.
    improved = {} if epochs else {"rounding": section.rounding, "correct_bias": section.correct_bias}
    samples = run.calibration()
    q = quantize(model, samples, config, **improved)
    number = len(keras.tree.flatten(samples)[0])
    how = f"in {epochs} epoch{'s' * (epochs > 1)} of training" if epochs else "without training"
    few = sorted(set(layers.values()) | ({section.weight_bits} if section.layers or not layers else set()))
    bits = f"{few[0]}" if len(few) == 1 else f"{few[0]} to {few[-1]}"
    sums = f", residual sums of {section.residual_bits}" * (section.residual_bits > section.activation_bits)
    words = f"weights of {bits} bits, activations of {section.activation_bits}{sums}, {how}"
    return Applied(q, lambda: f"{words}; ranges from {number:,} samples", lambda: q.report, found)


def _distill(model: keras.Model, run: Run, section: Any, epochs: int) -> Applied | str:
    if not run.task.class_scores:
        return "left out: the outputs are no scores of classes"
    loss = SoftTargets(
        temperature=section.temperature, from_logits=run.task.from_logits, weight=section.weight
    )
    distiller = Distiller(model, run.original, losses=[loss], student_loss_weight=section.student_loss_weight)
    return Applied(distiller, lambda: f"by the original model, at temperature {section.temperature:g}")


def _prune(callbacks: Sequence[Any], run: Run, section: Any, epochs: int) -> Applied:
    steps = max(epochs * run.steps_per_epoch, 2)
    end = max(round(section.ramp * steps), 1)

    def pruning_to(sparsity: float, where: Any) -> Pruning:
        schedule = PolynomialDecay(final_sparsity=sparsity, end_step=end, frequency=max(end // 50, 1))
        return Pruning(
            schedule, where, pattern=section.pattern, scope=section.scope, criterion=section.criterion
        )

    if section.layers:
        several = [pruning_to(sparsity, where) for sparsity, where in filters_by_value(section.layers)]
        return Applied(
            [*callbacks, *several],
            lambda: "; ".join(
                f"{one.report.sparsity:.1%} of {one.report.size:,} weights are zero" for one in several
            ),
        )
    pruning = pruning_to(section.final_sparsity, section.where)

    def words() -> str:
        dense = sum(layer.sparsity is None for layer in pruning.report.layers)
        left = f"; {dense} layers left dense" if dense else ""
        return f"{pruning.report.sparsity:.1%} of {pruning.report.size:,} weights are zero{left}"

    return Applied([*callbacks, pruning], words, lambda: pruning.report)


def _cluster(callbacks: Sequence[Any], run: Run, section: Any, epochs: int) -> Applied:
    pairs = filters_by_value(section.layers) or [(section.n_clusters, section.where)]
    several = [Clustering(values, where, granularity=section.granularity) for values, where in pairs]

    def words() -> str:
        counts = [sum(layer.values is not None for layer in one.report.layers) for one in several]
        return "; ".join(
            f"{number} kernels of {values} values" for number, (values, _) in zip(counts, pairs, strict=True)
        )

    return Applied([*callbacks, *several], words, lambda: several[0].report if len(several) == 1 else None)


# In the order in which they act; those of a stage one after the other.
TECHNIQUES: tuple[Technique, ...] = (
    Technique("shrink", Stage.REWRITES, _shrink, trains=True, saying="Shrinking"),
    Technique("factorize", Stage.REWRITES, _factorize, trains=True, saying="Factorizing"),
    Technique("quantize", Stage.QUANTIZES, _quantize, saying="Quantizing"),
    Technique("distill", Stage.TEACHES, _distill),
    Technique("prune", Stage.IN_FIT, _prune, trains=True),
    # Of what pruning has left; weights move unseen below the values that they share.
    Technique("cluster", Stage.IN_FIT, _cluster, trains=True, resumes=False),
)


def of_stage(stage: Stage, run: Run) -> list[tuple[Technique, Any]]:
    """The techniques of a stage that the recipe has a section for, with that."""
    pairs = ((row, getattr(run.recipe, row.name)) for row in TECHNIQUES if row.stage is stage)
    return [(row, section) for row, section in pairs if section is not None]


def runtime_of(target: str) -> str:
    """The runtime that shows what the target computes."""
    return TARGETS[target].runtime
