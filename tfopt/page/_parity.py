"""The proof: outputs on each runtime, and the tensors inside."""

from collections.abc import Mapping
from typing import Any

from tfopt._text import names_with_counts, percent
from tfopt.page._blocks import Block, Cell, DataTable, Text
from tfopt.page._content import Content

# Tensors up to which their table is open.
_OPEN = 12


def parity(content: Content) -> list[Block]:
    """The section's blocks."""
    proof = content.report("verify")
    if proof is None:
        return []
    words = [_verdict(proof), f"Operators of the file: {names_with_counts(proof['operators'])}."]
    if proof["float_ops"]:
        words.append(f"Of them computing in float: {names_with_counts(proof['float_ops'])}.")
    if proof["failure"]:
        words.insert(0, proof["failure"])
    blocks: list[Block] = [Text(tuple(words))]
    if proof["outputs"]:
        blocks.append(_outputs(proof))
    if proof["tensors"]:
        blocks.append(_tensors(proof))
    return blocks


def _verdict(proof: Mapping[str, Any]) -> str:
    outcome = "Every output value passes" if proof["passed"] else "NOT every output value passes"
    steps = f"{proof['tolerance']} step{'s' * (proof['tolerance'] != 1)}"
    return (
        f"{outcome} on {proof['samples']:,} samples, on {', '.join(proof['runtimes'])}: integers may be {steps} off, "
        "floats one part in 10,000 of their range."
    )


def _outputs(proof: Mapping[str, Any]) -> DataTable:
    lines = tuple(
        (
            output["name"],
            output["runtime"],
            output["dtype"],
            f"{output['values']:,}",
            _part(output["equal"]),
            _part(output["within_1"]),
            _largest(output),
            _steps(output["histogram"]),
            Cell("passed", tone="good") if output["passed"] else Cell("FAILED", tone="bad"),
        )
        for output in proof["outputs"]
    )
    caption = (
        "Outputs of the file beside those of the Keras model, on the same samples. A step is the distance of two "
        "neighbouring integers; differences are file minus Keras."
    )
    columns = (
        "output",
        "runtime",
        "type",
        "values",
        "bit-equal",
        "within 1",
        "largest",
        "differences",
        "verdict",
    )
    return DataTable(caption, columns, lines, frozenset({0, 1, 2, 7}))


def _part(fraction: float) -> Cell:
    return Cell(percent(fraction), fraction)


def _largest(output: Mapping[str, Any]) -> str:
    steps = output["max_steps"]
    return f"{output['max_abs']:.2g}" if steps is None else f"{steps} step{'s' * (steps != 1)}"


def _steps(histogram: Mapping[str, int]) -> str:
    return ", ".join(f"{steps}: {count:,}" for steps, count in histogram.items()) or "-"


def _tensors(proof: Mapping[str, Any]) -> DataTable:
    tensors = proof["tensors"]
    lines = tuple(
        (
            one["layer"],
            one["runtime"],
            one["operator"],
            f"{one['values']:,}",
            _part(one["equal"]),
            f"{one['differ']:,}",
            f"{one['max_steps']:,}",
        )
        for one in tensors
    )
    equal = sum(not one["differ"] for one in tensors)
    words = f"Tensor by tensor: {equal} of {len(tensors)} inside are equal bit for bit"
    caption = (
        f"{words}. They stand in the order in which the file writes them: the first row that is not equal is the "
        "operator that rounds otherwise than the simulation."
    )
    columns = ("layer", "runtime", "operator", "values", "bit-equal", "differ", "largest step")
    return DataTable(caption, columns, lines, frozenset({0, 1, 2}), words if len(tensors) > _OPEN else "")
