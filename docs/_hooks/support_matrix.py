"""The page of what becomes of each layer on each target, from the tables that `quantize` and `check` go by."""

import functools
import re

import keras

from tests.conversion.inexact import INEXACT
from tests.conversion.rows import build
from tfopt.kernels import JOINED, OPERATIONS, OWN, SAME, TARGETS, OperationRow, Target
from tfopt.kernels._lacking import BECOMES
from tfopt.kernels._operations import _always, _never
from tfopt.quantization import QuantConfig
from tfopt.quantization._describe import describe_node
from tfopt.quantization._rewrite import place_for, rewrite
from tfopt.quantization.placement._decompose import _AFFINE, ALTERNATIVES, DECOMPOSITIONS

INTEGER, PARTLY, APART, FLOAT, REFUSED = "int", "int, some forms", "int, in parts", "float", "refused"
_HOW = {
    OWN: "rounds to a grid of its own",
    SAME: "keeps the grid of its input",
    JOINED: "its inputs share one grid",
}
# What only `quantize` inserts, and names of kernels.
_INNER = {"AddMask", "FixedRange", "Requantize", "ScaleShift", "StepState", "bilinear", "mirror"}
_RECURRENT = {
    "GRU": keras.layers.GRU(3),
    "SimpleRNN": keras.layers.SimpleRNN(3),
    "Bidirectional": keras.layers.Bidirectional(keras.layers.LSTM(3)),
    "ConvLSTM1D": keras.layers.ConvLSTM1D(3, 3),
}

_HEAD = """# Support matrix

What becomes of each layer and operation on each target. This page is made from the tables by which `tfopt.quantize`
places grids and `tfopt.check` answers (`tfopt/kernels/_operations.py`, `_targets.py`), whenever the site is built.

- **int**: computes in integers. **int, some forms**: for some of its arguments, for others it stays float.
- **int, in parts**: comes apart into operations that compute in integers; but for those that are named.
- **float**: computes in float between a DEQUANTIZE and a QUANTIZE; the report gives the reason. A target that takes no
  float at all (`strict` below) makes it an error.
- **refused**: the runtime cannot load a file with it; `check` and `export` say so with the layer's name.

`tfopt.check(model, "tflm")` gives the same for your own model, layer by layer, before anything is trained.
A layer made of other layers, a `Lambda` or a `call` of `keras.ops` and `tf.*` is opened and judged by what it is made
of; what is not in the tables stays float.
"""


_DIFFERS = """Every other row of the parity tests (`tests/conversion/cases.py`) gives the codes of its simulation, all
of them. What is measured is of 400 random samples."""


def outcome(name: str, key: str, num_bits: int) -> str:
    """What becomes of an operation of this kind on a target, with activations of so many bits.

    >>> outcome("Dense", "tflm", 8), outcome("elu", "tflm", 8), outcome("Prod", "tflm", 8)
    ('int', 'int, in parts, but EXP', 'refused')
    """
    target = TARGETS[key]
    operator, lacking = BECOMES.get(name, ""), {*target.absent, *target.float_only(num_bits)}
    if name in ALTERNATIVES and ALTERNATIVES[name][0] in lacking:
        return _in_parts(name, _first_alike(key), num_bits)
    if operator in target.absent and name not in DECOMPOSITIONS:
        return REFUSED
    row = OPERATIONS.get(name)
    if row is None:
        apart = name in DECOMPOSITIONS or name in _RECURRENT
        return _in_parts(name, _first_alike(key), num_bits) if apart else FLOAT
    if num_bits > 8 and row.int16 is _never:
        return FLOAT
    if operator in target.float_only(num_bits):
        return PARTLY if name in _AFFINE else FLOAT  # constants make another operator of those
    depends = row.only is not _always or (num_bits > 8 and row.int16 is not _always)
    return PARTLY if depends else INTEGER


def _first_alike(key: str) -> str:
    """The first target of the table with the same kernels."""
    return next(other for other in TARGETS if _kernels(TARGETS[other]) == _kernels(TARGETS[key]))


def _kernels(target: Target) -> tuple:
    return (
        target.family,
        target.absent,
        target.fixed_shapes,
        target.narrow_slopes,
        tuple(target.floats.items()),
    )


@functools.cache
def _in_parts(name: str, key: str, num_bits: int) -> str:
    """What becomes of what an operation comes apart into: asked of `quantize`, with the case of the parity tests."""
    config = QuantConfig.for_target(key, strict=False, activation_bits=num_bits)
    graph = rewrite(_model(name), None, config).graph
    placement = place_for(graph, config)
    rows = [describe_node(node, placement) for node in graph.nodes]
    floats = [row for row in rows if row.done == "float"]
    if not floats:
        return APART
    if any(row.kind == name for row in floats):
        return FLOAT
    operators = {re.search(r"kernel for (\w+)", row.note) for row in floats}
    names = sorted({found[1] if found[1] != "it" else "" for found in operators if found} - {""})
    kinds = sorted({row.kind for row in floats})
    return f"{APART}, but {', '.join(names or kinds)}"


def _model(name: str) -> keras.Model:
    if name not in _RECURRENT:
        return build(name)
    inputs = keras.Input((5, 4, 3) if name.startswith("Conv") else (5, 4))
    return keras.Model(inputs, _RECURRENT[name](inputs))


def _how(row: OperationRow) -> str:
    words = [_HOW[row.output]]
    if row.fixed:
        words.append(f"fixed: {row.fixed[0]:g} to {row.fixed[1]:g}")
    if row.weights or row.recurrent:
        words.append("with weights")
    if row.fuses:
        words.append(f"fuses {', '.join(row.fuses)}")
    return "; ".join(words)


def _table(rows: dict[str, str], num_bits: int) -> str:
    targets = {key: target for key, target in TARGETS.items() if num_bits in target.activation_bits}
    lines = [
        f"| layer or operation | {' | '.join(targets)} | its grid |",
        f"|:--|{':--|' * len(targets)}:--|",
    ]
    for name, how in rows.items():
        cells = " | ".join(outcome(name, target, num_bits) for target in targets)
        lines.append(f"| `{name}` | {cells} | {how} |")
    return "\n".join(lines)


def _targets() -> str:
    lines = [
        "| target | runtime | rounds as | settings | activations | channels at a time | alignment |",
        "|:--|:--|:--|:--|:--|:--|:--|",
    ]
    for key, target in TARGETS.items():
        settings = (
            ", ".join(f"`{name}={value!r}`" for name, value in target.settings.items()) or "the defaults"
        )
        bits = " or ".join(map(str, target.activation_bits))
        family = "TFLite's reference kernels" if target.family == "reference" else "XNNPACK"
        channels = target.channels or "not documented"
        alignment = f"{target.alignment} bytes" if target.alignment else "not documented"
        cells = (f"`{key}`", target.title.rstrip(","), family, settings, f"{bits} bits", channels, alignment)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    notes = [f"- {target.note}" for target in TARGETS.values() if target.note]
    return "\n".join([*lines, "", *notes])


def _inexact() -> str:
    lines = ["| case | activations | equal outputs | why |", "|:--|:--|:--|:--|"]
    for bits, rows in INEXACT.items():
        lines += [
            f"| {name} | {bits} bits | {figure} | {reason} |" for name, (_, figure, reason) in rows.items()
        ]
    return "\n".join(lines)


def support_page() -> str:
    """The page, as Markdown."""
    names = sorted({*OPERATIONS, *DECOMPOSITIONS, *BECOMES, *_RECURRENT} - _INNER, key=str.lower)
    rows = {name: _how(OPERATIONS[name]) if name in OPERATIONS else "" for name in names}
    parts = [_HEAD, "## Targets", _targets()]
    for bits in (8, 16):
        parts += [f"## {bits}-bit activations", _table(rows, bits)]
    parts += ["## Where TFLite Micro differs from the simulation", _DIFFERS, _inexact()]
    return "\n\n".join(parts) + "\n"
