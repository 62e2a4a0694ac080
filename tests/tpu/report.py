"""What a compiled step costs, printed beside what a user pays without tfopt."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Cost:
    """What the compiler says of an executable, of one chip."""

    flops: float
    bytes: float
    peak: float
    text: str

    @classmethod
    def of(cls, cost: dict[str, float], memory: object, text: str) -> "Cost":
        """From the compiler's two analyses and the program that it made."""
        peak = memory.temp_size_in_bytes + memory.argument_size_in_bytes  # type: ignore[attr-defined]
        return cls(cost["flops"], cost["bytes accessed"], peak, text)


HEAD = f"{'step':24}{'FLOPs':>11}{'':8}{'':8}{'bytes':>11}{'':8}{'':8}{'all-reduce':>11}{'peak MiB':>10}"


class Table:
    """Rows of costs, compared with the first two: the float step, and the teacher's forward pass with it."""

    def __init__(self, title: str) -> None:
        print(f"\n{title}\n{HEAD}", flush=True)
        self.float: Cost | None = None
        self.both: tuple[float, float] | None = None

    def add(self, name: str, cost: Cost) -> None:
        """Prints a row; a step that transfers data to or from the host ends the program."""
        # A callback of the host would compile, by transfers that stall the chip at each step.
        if "is_host_transfer=true" in cost.text:
            raise SystemExit(f"The step '{name}' must stay on the TPU. It transfers data to the host.")
        if self.float is None:
            self.float = cost
        elif self.both is None:
            self.both = (self.float.flops + cost.flops, self.float.bytes + cost.bytes)
        line = f"{name:24}"
        for index, (count, alone) in enumerate(
            ((cost.flops, self.float.flops), (cost.bytes, self.float.bytes))
        ):
            line += f"{count:11.3e}{count / alone:6.2f} x"
            line += f"{count / self.both[index]:6.2f} x" if self.both else " " * 8
        reduces = cost.text.count(" all-reduce(") + cost.text.count(" all-reduce-start(")
        print(f"{line}{reduces:11}{cost.peak / 2**20:10.1f}", flush=True)
