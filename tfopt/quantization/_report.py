"""What `quantize` did to each layer, and why it left others alone."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tfopt._report import Report, Table
from tfopt.kernels import TARGETS
from tfopt.quantization.calibration import rounding_db

if TYPE_CHECKING:
    import keras

# A ratio above this is float32 rounding: the weights are on their grid already.
_EXACT_DB = 140.0
# Outputs that keep fewer decibels than this are named below the table, as many as this.
_LOW_DB, _NAMED = 20.0, 5


@dataclasses.dataclass(frozen=True)
class LayerReport:
    """One row: what was done to one operation.

    Attributes:
        path: where it stands in the model.
        kind: what it is, as in `tfopt.graph.kind`.
        done: `"int8"` or `"int16"`, `"fused"`, `"same grid"`, `"float"` or `"left out"`.
        note: into what, or why not.
        weights: name of the layer of the quantized model that holds its weights; `""` for none.
        quantizer: name of the layer that rounds its output; `""` where that is another operation's.
        weight_bits: bits of a weight's code; None without quantized weights.
        weight_levels: how many values a weight can take.
        sqnr_db: `10 log10(sum w^2 / sum (w - Q(w))^2)` of the weights, in decibels; at most 140.
        minimum: lower end of the output's range.
        maximum: upper end.
        scale: the step between two codes of the output.
        mean_square: mean of the squared output on the calibration data, in float.
        activation_db: `10 log10(mean_square / (scale^2 / 12))`: the output's size over the error of rounding it to its
            grid, in decibels; 8 bits leave 35 to 45 of an output that fills its range.
        network_db: the output's size over what all roundings up to it have cost, where `measure_activations` was asked.
        site: which of the tensors on the quantizer's grid the output is.
    """

    path: str
    kind: str
    done: str
    note: str = ""
    weights: str = ""
    quantizer: str = ""
    weight_bits: int | None = None
    weight_levels: int | None = None
    sqnr_db: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    scale: float | None = None
    mean_square: float | None = None
    activation_db: float | None = None
    network_db: float | None = None
    site: int = 0

    def cells(self) -> tuple[str, ...]:
        """The row's text in the table."""
        grid = ("", "")
        if self.scale is not None:
            grid = (f"{self.minimum:.3g} to {self.maximum:.3g}", f"{self.scale:.3g}")
        ratio = (
            "" if self.sqnr_db is None else "exact" if self.sqnr_db >= _EXACT_DB else f"{self.sqnr_db:.1f}"
        )
        bits = "" if self.weight_bits is None else f"{self.weight_bits}"
        return (self.path, self.kind, self.done, bits, ratio, *grid, self.note)


@dataclasses.dataclass(frozen=True)
class QuantizationReport(Report):
    """A row for each operation of the model, in call order.

    Attributes:
        name: the model's name.
        layers: the rows.
        target: the runtime whose kernels it computes as, see `QuantConfig.for_target`.
        warnings: what a grid costs parts of a concatenation, columns of an input, or all layers because of a few
            samples, with what to do.

    Example: see `quantize`.
    """

    name: str
    layers: tuple[LayerReport, ...]
    target: str = "litert"
    warnings: tuple[str, ...] = ()

    def by_damage(self) -> tuple[LayerReport, ...]:
        """The rows whose output was rounded to a grid, those first that it costs most.

        Sorted by `network_db` where it was measured, else by `activation_db`: a layer near 0 loses its values, whatever
        those behind it do.
        """
        pairs = [
            (row.activation_db if row.network_db is None else row.network_db, row) for row in self.layers
        ]
        known = [(decibels, row) for decibels, row in pairs if decibels is not None]
        return tuple(row for _, row in sorted(known, key=lambda pair: pair[0]))

    def table(self) -> Table:
        counts = {
            done: sum(row.done == done for row in self.layers) for done in {r.done for r in self.layers}
        }
        total = ", ".join(f"{count} {done}" for done, count in sorted(counts.items()))
        return Table(
            f"Quantization of {self.name}",
            ("layer", "kind", "done", "bits", "dB", "range", "step", "note"),
            tuple(row.cells() for row in self.layers),
            (
                f"{len(self.layers)} operations: {total}.",
                "bits: of the weights. dB: their size over their rounding error. range, step: of the output.",
                *self._about_damage(),
                *self.warnings,
                *self._about_target(),
            ),
        )

    def _about_damage(self) -> tuple[str, ...]:
        """The layers whose outputs keep little of themselves."""
        low = [
            row for row in self.by_damage() if row.activation_db is not None and row.activation_db < _LOW_DB
        ]
        if not low:
            return ()
        named = ", ".join(f"{row.path} {row.activation_db:.1f}" for row in low[:_NAMED])
        more = f" and {len(low) - _NAMED} more" if len(low) > _NAMED else ""
        return (f"Outputs whose grid leaves them fewer than {_LOW_DB:.0f} dB: {named}{more}.",)

    def _about_target(self) -> tuple[str, ...]:
        if self.target == "litert":
            return ()
        target = TARGETS[self.target]
        notes = (f"Target {self.target}: rounds as the kernels of the family {target.family!r}.", target.note)
        return tuple(filter(None, notes))


def with_notes(report: QuantizationReport, notes: dict[str, str]) -> QuantizationReport:
    """The report with more said about some paths: `notes` maps a path to words."""
    rows = (
        dataclasses.replace(row, note="; ".join(filter(None, (row.note, notes.get(row.path)))))
        for row in report.layers
    )
    return dataclasses.replace(report, layers=tuple(rows))


def refuse_floats(report: QuantizationReport) -> None:
    """Raises ValueError if any layer stays float, with the reason for each."""
    left = [f"{row.path!r} ({row.kind}: {row.note})" for row in report.layers if row.done == "float"]
    if left:
        raise ValueError(
            f"With strict=True every layer of {report.name!r} must compute in integers, and {len(left)} cannot: "
            f"{'; '.join(left)}. Replace them, or leave strict out: they stay float, and all others become integer."
        )


def measured(report: QuantizationReport, model: "keras.Model") -> QuantizationReport:
    """The report with the bits, ranges and weight errors that the model has at this moment.

    Args:
        report: what `quantize` did.
        model: the quantized model.

    Returns:
        A new report.
    """
    rows = []
    for row in report.layers:
        numbers: dict[str, Any] = {}
        if row.weights:
            layer = model.get_layer(row.weights)
            numbers |= {"weight_bits": layer.weight_bits, "weight_levels": layer.grid.levels}
            numbers["sqnr_db"] = sqnr_db(*layer.weights_and_rounded())
        if row.quantizer:
            quantizer = model.get_layer(row.quantizer)
            low, high = (float(end) for end in quantizer.nudged_range())
            numbers |= {"minimum": low, "maximum": high, "scale": float(quantizer.step())}
            if row.mean_square is not None and quantizer.fixed_range is None:
                numbers["activation_db"] = rounding_db(row.mean_square, numbers["scale"])
            if row.done == "int8":
                numbers["done"] = f"int{quantizer.num_bits}"
        rows.append(dataclasses.replace(row, **numbers))
    return dataclasses.replace(report, layers=tuple(rows))


def sqnr_db(weight: Any, rounded: Any) -> float:
    """The signal-to-quantization-noise ratio `10 log10(sum w^2 / sum (w - Q(w))^2)`, at most 140 dB.

    Args:
        weight: the weights.
        rounded: the same on their grid.

    >>> import numpy as np
    >>> from tfopt.quantization._report import sqnr_db
    >>> sqnr_db(np.array([3.0, 4.0]), np.array([3.0, 4.5]))
    20.0
    """
    weight, rounded = np.asarray(weight, "float64"), np.asarray(rounded, "float64")
    signal, noise = np.sum(weight**2), np.sum((weight - rounded) ** 2)
    if noise <= signal * 10 ** (-_EXACT_DB / 10):
        return _EXACT_DB
    return float(10 * math.log10(signal / noise)) if signal > 0 else 0.0
