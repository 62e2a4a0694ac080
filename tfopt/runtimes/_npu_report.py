"""What Vela estimates for a file on an Ethos-U, as a table."""

import dataclasses
import os
import re
from collections import Counter

from tfopt._report import Report, Table
from tfopt._text import format_bytes, percent


@dataclasses.dataclass(frozen=True)
class CpuOperator:
    """An operator that Vela leaves to the microcontroller.

    Args:
        operator: its name, such as `"SEGMENT_SUM"`.
        tensor: the tensor that it writes, by its name in the file.
        reason: Vela's reason, or `""` where it gives none.

    Example:

    >>> CpuOperator("SEGMENT_SUM", "net/sum", "Unsupported opType").reason
    'Unsupported opType'
    """

    operator: str
    tensor: str
    reason: str


@dataclasses.dataclass(frozen=True)
class NpuReport(Report):
    """What `estimate_npu` found; prints as a table.

    Args:
        path: the file.
        accelerator: the Ethos-U, such as `"ethos-u55-128"`.
        system_config: the system around it, as Vela names it: its clock and the speed of its memories.
        memory_mode: which memory holds weights and activations, as Vela names it.
        operators: number of operators in the file.
        cpu: those that run on the CPU; cycles and time do not include them.
        cycles: cycles of one inference on the NPU.
        inference_ms: milliseconds of one inference, by Vela's model of the hardware.
        sram_bytes: SRAM in use.
        flash_bytes: flash in use, on and off the chip.
        dram_bytes: DRAM in use.
        macs: multiplications of one inference on the NPU.

    Example: see `estimate_npu`.
    """

    path: str
    accelerator: str
    system_config: str
    memory_mode: str
    operators: int
    cpu: tuple[CpuOperator, ...]
    cycles: int
    inference_ms: float
    sram_bytes: int
    flash_bytes: int
    dram_bytes: int
    macs: int

    @property
    def npu_share(self) -> float:
        """The fraction of the file's operators that run on the NPU."""
        return max(0.0, 1.0 - len(self.cpu) / self.operators) if self.operators else 0.0

    def table(self) -> Table:
        """The figures, and in the notes what stays on the CPU, with a line for each kind of operator and reason."""
        on_npu = self.operators - len(self.cpu)
        rows = (
            ("operators on the NPU", f"{on_npu} of {self.operators} ({percent(self.npu_share)})"),
            ("cycles", f"{self.cycles:,}"),
            ("time", f"{self.inference_ms:.3g} ms"),
            ("multiplications", f"{self.macs:,}"),
            ("SRAM", format_bytes(self.sram_bytes)),
            ("flash", format_bytes(self.flash_bytes)),
            ("DRAM", format_bytes(self.dram_bytes)),
        )
        title = f"{os.path.basename(self.path)} on {self.accelerator}"
        return Table(title, ("what", "Vela's estimate"), rows, self._notes())

    def _notes(self) -> tuple[str, ...]:
        # Vela's reason goes on with the tensor's name and the supported types; `cpu` has the full text.
        why = Counter((op.operator, re.split(r" \(|\.? Feature-map", op.reason)[0]) for op in self.cpu)
        notes = [
            f"On the CPU: {count} {operator}{f' ({reason})' if reason else ''}."
            for (operator, reason), count in why.most_common()
        ]
        if self.cpu:
            notes.append("Cycles and time are those of the NPU only, without the operators on the CPU.")
        system = f"For {self.system_config}, {self.memory_mode}."
        return (*notes, f"{system} Estimates of a model of the hardware, not measurements.")
