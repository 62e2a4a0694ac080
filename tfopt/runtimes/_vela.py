"""Vela, Arm's compiler for the Ethos-U NPUs: its estimates for a file."""

import csv
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tfopt.runtimes._npu_report import CpuOperator, NpuReport
from tfopt.runtimes._runtime import CannotRunError
from tfopt.runtimes._tflite_file import TFLiteFile
from tfopt.runtimes._tflite_micro import INSTALL

# Family of NPUs -> the system and the memory mode that Vela's own vela.ini offers for it as the common ones.
SYSTEMS = {
    "ethos-u55": ("Ethos_U55_High_End_Embedded", "Shared_Sram"),
    "ethos-u65": ("Ethos_U65_High_End", "Dedicated_Sram"),
    "ethos-u85": ("Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_384KB"),
}
# Family -> multiplications per cycle, which distinguish its members.
SIZES = {
    "ethos-u55": (32, 64, 128, 256),
    "ethos-u65": (256, 512),
    "ethos-u85": (128, 256, 512, 1024, 2048),
}
ACCELERATORS = tuple(f"{family}-{size}" for family, sizes in SIZES.items() for size in sizes)


def estimate_npu(
    path: str | os.PathLike | bytes,
    accelerator: str = "ethos-u55-128",
    system_config: str | None = None,
    memory_mode: str | None = None,
) -> NpuReport:
    """Asks Vela how much of a .tflite file an Ethos-U runs, how fast, and in how much memory.

    Use it before you have the hardware: operators that stay on the CPU are far slower, and the report names each with
    Vela's reason. Vela runs in a process of its own. It needs the package `ethos-u-vela`: `pip install 'tfopt[mcu]'`.

    Args:
        path: the .tflite file, or its bytes; int8 or int16, because NPUs do not compute in float.
        accelerator: `"ethos-u55-32"` to `"-256"`, `"ethos-u65-256"`, `"-512"`, or `"ethos-u85-128"` to `"-2048"`.
        system_config: a system of Vela's `Arm/vela.ini`, such as `"Ethos_U55_Deep_Embedded"`; by default the faster
            embedded one of the family (U85: the middle one with DRAM).
        memory_mode: a memory mode of the same file, such as `"Sram_Only"`; by default the family's common one.

    Returns:
        An `NpuReport`.

    Raises:
        ValueError: the path is missing or not a .tflite file, or `accelerator` is unknown.
        ImportError: Vela is not installed.
        CannotRunError: Vela refuses the file, the system or the memory mode, or crashes on the file.

    Example:

    >>> import keras, numpy as np, tempfile, tfopt
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, activation="relu")])
    >>> q = tfopt.quantize(model, calibration=np.random.default_rng(0).normal(size=(8, 8, 8, 1)))
    >>> file = tfopt.export(q, os.path.join(tempfile.mkdtemp(), "model.tflite"))
    >>> report = estimate_npu(file.path)
    >>> report.npu_share, report.cpu, report.cycles < 10_000
    (1.0, (), True)
    """
    if accelerator not in ACCELERATORS:
        raise ValueError(
            f"The 'accelerator' argument must be one of {', '.join(ACCELERATORS)}. Got {accelerator!r} instead."
        )
    file = TFLiteFile.read(path)
    if importlib.util.find_spec("ethosu") is None or importlib.util.find_spec("ethosu.vela") is None:
        raise ImportError(f"Vela is not installed. Install it with: {INSTALL}")
    system, memory = SYSTEMS[accelerator.rsplit("-", 1)[0]]
    options = (accelerator, system_config or system, memory_mode or memory)
    figures, said = _compile(file, *options)
    return NpuReport(
        file.name,
        *options,
        operators=sum(op.subgraph == 0 for op in file.operators),
        cpu=_left_on_cpu(file, said),
        cycles=int(float(figures["cycles_total"])),
        inference_ms=1000 * float(figures["inference_time"]),
        sram_bytes=_bytes(figures, "sram"),
        flash_bytes=_bytes(figures, "on_chip_flash") + _bytes(figures, "off_chip_flash"),
        dram_bytes=_bytes(figures, "dram"),
        macs=int(float(figures["nn_macs"])),
    )


def _compile(file: TFLiteFile, accelerator: str, system: str, memory: str) -> tuple[dict[str, str], str]:
    """The figures that Vela writes, and its output."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.tflite").write_bytes(file.content)
        command = [sys.executable, "-m", "ethosu.vela", "model.tflite", "--output-dir", "out"]
        command += ["--accelerator-config", accelerator, "--config", "Arm/vela.ini", "--show-cpu-operations"]
        command += ["--system-config", system, "--memory-mode", memory]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        tables = list((folder / "out").glob("*_summary_*.csv"))
        if done.returncode or not tables:
            raise CannotRunError(_why(file, done))
        with tables[0].open(newline="") as stream:
            return next(csv.DictReader(stream)), done.stdout + done.stderr


def _why(file: TFLiteFile, done: subprocess.CompletedProcess) -> str:
    # A shell reports a signal as its number plus 128; the process itself as a negative number.
    number = -done.returncode if done.returncode < 0 else done.returncode - 128
    if number > 0:
        small = min((bits for bits in file.weight_bits), default=8)
        hint = f" It crashes on weights of {small} bits: use 8." if small < 8 else ""
        return f"Vela cannot compile {file.name}: it crashed with {signal.Signals(number).name}.{hint}"
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if "rror" in line]
    last = (lines or [f"it ended with exit code {done.returncode}."])[-1]
    return f"Vela cannot compile {file.name}: {last} Check 'system_config' and 'memory_mode' against its vela.ini."


def _left_on_cpu(file: TFLiteFile, said: str) -> tuple[CpuOperator, ...]:
    """The operators that Vela lists for the CPU, each with the reason that it gave before."""
    reasons = {
        tensor: (operator, " ".join(reason.split()))
        for operator, tensor, reason in re.findall(
            r"^Warning .*?operator: (\w+), ofm: '(.*?)'\nReason: (.*?)(?:\n\s*\n|\nWarning|\Z)",
            said,
            re.M | re.S,
        )
    }
    names = {tensor.name: op.name for op in file.operators for tensor in op.outputs}
    left = []
    for kind, tensor in re.findall(r"^\s+CPU: (\w+) = (.*?) \(outputs ", said, re.M):
        operator, reason = reasons.get(tensor, ("", ""))
        left.append(CpuOperator(names.get(tensor) or operator or kind, tensor, reason))
    return tuple(left)


def _bytes(figures: dict[str, str], memory: str) -> int:
    return round(1024 * float(figures[f"{memory}_memory_used"]))
