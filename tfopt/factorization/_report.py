"""What `factorize` did to each layer, and why some are as they were."""

import dataclasses

from tfopt._report import Report, Table


@dataclasses.dataclass(frozen=True)
class FactorizedLayer:
    """One row: a layer's kernel before and after.

    Attributes:
        path: the layer's path in the model.
        before: values of its kernel.
        after: values of the kernels of its factors.
        ranks: the channels between the factors; empty for a layer that is as it was.
        error: `||W - W'|| / ||W||` for the kernel and the product of its factors; 0 for a layer that is as it was.
        reason: why it is as it was; empty for one with factors.

    >>> from tfopt.factorization import FactorizedLayer
    >>> FactorizedLayer("dense", 4096, 1024, (8,), 0.21).ranks
    (8,)
    """

    path: str
    before: int
    after: int
    ranks: tuple[int, ...] = ()
    error: float = 0.0
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class FactorizationReport(Report):
    """A row for each layer with a kernel, and the model's parameters before and after.

    Args:
        name: the model's name.
        layers: the rows, in call order.
        params: parameters (before, after).
        macs: multiply-accumulates for one sample (before, after); None where input sizes are open.

    >>> from tfopt.factorization import FactorizationReport, FactorizedLayer
    >>> rows = (FactorizedLayer("dense", 4096, 1024, (8,), 0.21), FactorizedLayer("logits", 64, 64, reason="small"))
    >>> print(FactorizationReport("net", rows, (4200, 1128), (4160, 1088)))
    Factors of net
    layer   before  after  ranks  error  note
    dense    4,096  1,024      8   0.21
    logits      64     64      -      -  small
    parameters: 4,200 -> 1,128
    multiply-accumulates: 4,160 -> 1,088
    """

    name: str
    layers: tuple[FactorizedLayer, ...]
    params: tuple[int, int]
    macs: tuple[int, int] | None

    def table(self) -> Table:
        """A row for each layer; the totals in the notes."""
        rows = tuple(
            (
                row.path,
                f"{row.before:,}",
                f"{row.after:,}",
                " × ".join(map(str, row.ranks)) or "-",
                f"{row.error:.2g}" if row.ranks else "-",
                row.reason,
            )
            for row in self.layers
        )
        notes = ["parameters: {:,} -> {:,}".format(*self.params)]
        if self.macs:
            notes.append("multiply-accumulates: {:,} -> {:,}".format(*self.macs))
        columns = ("layer", "before", "after", "ranks", "error", "note")
        return Table(f"Factors of {self.name}", columns, rows, tuple(notes))
