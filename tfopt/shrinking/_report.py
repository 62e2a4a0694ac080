"""What `shrink` did to each layer, and why some were not changed."""

import dataclasses

from tfopt._report import Report, Table
from tfopt._text import format_bytes


@dataclasses.dataclass(frozen=True)
class ShrunkLayer:
    """One row: channels that a layer makes, before and after.

    Attributes:
        path: the layer's path in the model.
        before: channels before; for attention, heads times their size.
        after: channels after.
        group: other layers whose channels are coupled with these.
        reason: why channels were kept, if they could not be removed or none was removed.
    """

    path: str
    before: int
    after: int
    group: tuple[str, ...] = ()
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class ShrinkReport(Report):
    """A row for each layer that makes channels, and what the model costs before and after.

    Args:
        name: the model's name.
        layers: the rows, in call order.
        params: parameters (before, after).
        macs: multiply-accumulates for one sample (before, after); None where input sizes are open.
        bytes: estimated bytes of the int8 file (before, after).

    >>> from tfopt.shrinking import ShrinkReport, ShrunkLayer
    >>> rows = (ShrunkLayer("conv", 16, 8), ShrunkLayer("head", 10, 10, reason="the model returns these channels"))
    >>> print(ShrinkReport("net", rows, (642, 322), (1000, 500), (3000, 2000)))
    Channels of net
    layer  before  after  note
    conv       16      8
    head       10     10  the model returns these channels
    parameters: 642 -> 322 (50 %)
    multiply-accumulates: 1,000 -> 500 (50 %)
    int8 file, estimated: 3 kB -> 2 kB (67 %)
    """

    name: str
    layers: tuple[ShrunkLayer, ...]
    params: tuple[int, int]
    macs: tuple[int, int] | None
    bytes: tuple[int, int]

    def table(self) -> Table:
        """A row per layer, and the totals below."""
        notes = [_change("parameters", self.params, "{:,}".format)]
        if self.macs:
            notes.append(_change("multiply-accumulates", self.macs, "{:,}".format))
        notes.append(_change("int8 file, estimated", self.bytes, format_bytes))
        rows = tuple((row.path, str(row.before), str(row.after), _note(row)) for row in self.layers)
        return Table(f"Channels of {self.name}", ("layer", "before", "after", "note"), rows, tuple(notes))


def _note(row: ShrunkLayer) -> str:
    if row.reason:
        return row.reason
    shown = ", ".join(row.group[:3]) + (f" and {len(row.group) - 3} more" if len(row.group) > 3 else "")
    return f"with {shown}" if shown else ""


def _change(name: str, counts: tuple[int, int], text) -> str:
    before, after = counts
    return f"{name}: {text(before)} -> {text(after)} ({after / max(before, 1):.0%})".replace("%", " %")
