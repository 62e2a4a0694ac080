"""The table of budgets: what each counts, how a file is measured, and how that is foreseen by kernels or layers."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import keras
import numpy as np

from tfopt.analysis import Spot
from tfopt.budgets._options import Option
from tfopt.coding import Codes, smallest_form
from tfopt.compression import OVERHEAD, check_decoder
from tfopt.graph import kind
from tfopt.kernels import TARGETS, is_packed
from tfopt.pruning import layout_of
from tfopt.runtimes import TFLiteFile, estimate_npu, load, measure_latency, measure_size
from tfopt.shrinking import count_macs, estimate_bytes

# Kernels that are stored two codes to a byte where their bits allow that.
_PACKED = ("Dense", "EinsumDense", "Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D")
_RUNS = 30


@dataclasses.dataclass(frozen=True)
class Written:
    """A model and its file.

    Attributes:
        model: the float model, of the shape that was chosen.
        path: the file.
        target: the runtime.
        mean_bits: bits of a weight on average.
    """

    model: keras.Model
    path: str
    target: str
    mean_bits: float = 8.0


@dataclasses.dataclass(frozen=True)
class Budget:
    """A row of the table. Weights decide it (`price`), shapes do (`exact` or `combine`), or both.

    Attributes:
        unit: what it counts.
        measure: the number of a file.
        price: what a kernel takes of it, by its codes and option, for a target.
        averaged: whether prices are divided by the number of weights.
        exact: the number of a float model, where it takes no file.
        estimate: about the number of a float model's 8-bit file, where shapes tell it.
        combine: from what files of single layers take to what the model takes: their sum, or the largest.
        check: raises where a target has no such thing.
    """

    unit: str
    measure: Callable[[Written], float]
    price: Callable[[Spot, Any, Option, str], int] | None = None
    averaged: bool = False
    exact: Callable[[keras.Model], float] | None = None
    estimate: Callable[[keras.Model], float] | None = None
    combine: Callable[[Iterable[float]], float] | None = None
    check: Callable[[str], Any] = lambda target: None


def _stored(spot: Spot, codes: np.ndarray, option: Option, target: str) -> int:
    """A byte for each code, or for two of them where the target's kernels read that."""
    packs = TARGETS[target].settings.get("pack_weights", True)
    packed = packs and is_packed(option.bits) and kind(spot.node.op) in _PACKED  # type: ignore[union-attr]
    return -(-codes.size // 2) if packed else codes.size


def _compressed(spot: Spot, codes: np.ndarray, option: Option, target: str) -> int:
    """The smallest form that TFLite Micro decodes, with its decoder, or the plain kernel."""
    layout = layout_of(spot.node.op, spot.kernels[0])  # type: ignore[union-attr]
    matrix = np.asarray(layout.to_matrix(codes))
    inputs_last = matrix.shape[1] > 1
    matrix = np.moveaxis(matrix, 2, 0) if inputs_last else matrix  # outputs first; last in a depthwise kernel
    by_channel = spot.quantized.grid.granularity == "channel"
    encoded = smallest_form(
        Codes(np.ascontiguousarray(matrix), (0 if inputs_last else 2) if by_channel else None)
    )
    return codes.size if encoded is None else min(codes.size, encoded.nbytes + OVERHEAD)


def _file_bytes(written: Written) -> int:
    return measure_size(written.path).raw


def _nonzeros(written: Written) -> int:
    kernels = TFLiteFile.read(written.path).kernels
    return int(sum(np.count_nonzero(np.asarray(kernel.data)) for kernel in kernels))


def _latency(written: Written) -> float:
    # What other programs of the machine take is not the network's, nor are the first calls behind another program.
    runtime = TARGETS[written.target].runtime
    return measure_latency(written.path, runs=_RUNS, runtime=runtime, own_time=True).p5_ms


def _arena(written: Written) -> int:
    return load(written.path, "tflm").arena.total  # type: ignore[attr-defined]


def _cycles(written: Written) -> int:
    return estimate_npu(written.path).cycles


def _runs_on(target: str, runtime: str, name: str) -> None:
    if TARGETS[target].runtime != runtime:
        able = " or ".join(repr(key) for key, row in TARGETS.items() if row.runtime == runtime)
        raise ValueError(
            f"The 'budget' argument's {name!r} must go with target={able}. Got target={target!r}. Set the target, or "
            "leave it out."
        )


def _is_ethos_u(target: str) -> None:
    if target != "ethos-u":
        raise ValueError(
            f"The 'budget' argument's 'cycles' must go with target='ethos-u', which Vela compiles for. Got "
            f"target={target!r}. Set the target, or leave it out."
        )


# What a budget may be of. Bytes are those of the file, as it is or with kernels that TFLite Micro decodes.
BUDGETS: dict[str, Budget] = {
    "bytes": Budget("bytes", _file_bytes, _stored, estimate=estimate_bytes),
    "compressed_bytes": Budget("bytes", _file_bytes, _compressed, check=check_decoder),
    "nonzeros": Budget(
        "weights", _nonzeros, lambda spot, codes, option, target: int(np.count_nonzero(codes))
    ),
    "mean_bits": Budget(
        "bits",
        lambda written: written.mean_bits,
        lambda spot, codes, option, target: option.bits * codes.size,
        averaged=True,
    ),
    "macs": Budget("multiply-accumulates", lambda written: count_macs(written.model), exact=count_macs),
    "latency": Budget("ms", _latency, combine=sum),
    "arena": Budget("bytes", _arena, combine=max, check=lambda target: _runs_on(target, "tflm", "arena")),
    "cycles": Budget("cycles", _cycles, combine=sum, check=_is_ethos_u),
}


def is_of_shapes(name: str) -> bool:
    """Whether a budget depends on the shapes of tensors alone.

    >>> [name for name in BUDGETS if is_of_shapes(name)]
    ['macs', 'latency', 'arena', 'cycles']
    """
    return BUDGETS[name].price is None


def check_limits(
    budget: Any, target: str, owner: str, able: Collection[str], otherwise: str
) -> dict[str, float]:
    """The limits by budget, of those that something is able to keep.

    Args:
        budget: as for `check_budget`.
        target: the runtime.
        owner: what keeps them, in the message.
        able: names of budgets that it keeps.
        otherwise: why it does not keep another one, and what does.

    Raises:
        ValueError: the budget is wrong, or of something else.
    """
    limits = check_budget(budget, target, None)
    unknown = [name for name in limits if name not in able]
    if unknown:
        raise ValueError(
            f"The 'budget' argument of {owner} must be of {', '.join(map(repr, able))}. Got {unknown[0]!r}, which "
            f"{otherwise}"
        )
    return limits  # type: ignore[return-value]


def check_budget(budget: Any, target: str, max_drop: float | None) -> dict[str, float | None]:
    """The limits by budget; the only one may be None, for as little as `max_drop` allows.

    Raises:
        ValueError: the budget is none of the table, its number is out of range, or the target has no such thing.
    """
    if not isinstance(budget, Mapping) or not budget or not set(budget) <= set(BUDGETS):
        raise ValueError(
            f"The 'budget' argument must be a dict with some of {', '.join(map(repr, BUDGETS))}. Got {budget!r} "
            'instead. Pass {"bytes": 100_000}.'
        )
    unset = [name for name, most in budget.items() if most is None]
    if bool(unset) != (max_drop is not None) or (unset and (len(budget) > 1 or is_of_shapes(unset[0]))):
        raise ValueError(
            f"The 'budget' argument must give each a number; or one alone, of weights, None with a 'max_drop' that "
            f"says how few will do. Got {dict(budget)!r} and max_drop={max_drop!r}."
        )
    for name, most in budget.items():
        wrong = isinstance(most, bool) or not isinstance(most, (int, float)) or most <= 0
        if most is not None and wrong:
            raise ValueError(
                f"The 'budget' argument must give {name!r} a number of {BUDGETS[name].unit} above 0. Got {most!r} "
                "instead."
            )
        BUDGETS[name].check(target)
    return dict(budget)
