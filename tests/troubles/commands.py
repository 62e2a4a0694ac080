"""What of each command writes, or only prints: its arguments for a target, and the target's ending."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

# From the folder of sound files, and the target, to what follows the command.
Arguments = Callable[[Path, str], list[str]]


@dataclasses.dataclass(frozen=True)
class Command:
    """One thing that a command writes.

    Attributes:
        arguments: of the command.
        ending: of the file that it writes; empty for a folder, None where it only prints.
        files: what it may have written into the folder before, one name.
        grows: whether it writes while it works, as a log does: what was written by then stays.
    """

    arguments: Arguments
    ending: str | None
    files: str = "report.md"
    grows: bool = False


def _data(s: Path) -> list[str]:
    return ["--data", str(s / "samples.npz")]


# Command, and what it writes -> how.
COMMANDS = {
    "compress": Command(
        lambda s, t: [
            *("--model", str(s / "net.keras"), *_data(s), "--output_dir", t, "--overwrite"),
        ],
        "",
    ),
    "compress --tensorboard": Command(
        lambda s, t: [
            *("--model", str(s / "net.keras"), *_data(s), "--epochs", "1", "--prune", "0.5"),
            *("--output_dir", str(s.parent / "beside"), "--overwrite", "--tensorboard", t),
        ],
        "",
        grows=True,
    ),
    "demo": Command(lambda s, t: ["--epochs", "1", "--output_dir", t], ""),
    "export": Command(lambda s, t: [str(s / "q.keras"), t], ".tflite"),
    "export --format": Command(
        lambda s, t: [
            str(s / "net.keras"),
            t,
            "--format",
            "int8",
            "--calibration",
            str(s / "samples.npz"),
        ],
        ".tflite",
    ),
    "export --compress": Command(lambda s, t: [str(s / "int8.tflite"), t, "--compress"], ".tflite"),
    "export --c_array": Command(
        lambda s, t: [str(s / "q.keras"), str(s.parent / "beside.tflite"), "--c_array", t], ".cc"
    ),
    "quantize": Command(lambda s, t: [str(s / "net.keras"), t, *_data(s)], ".tflite"),
    "quantize .keras": Command(lambda s, t: [str(s / "net.keras"), t, *_data(s)], ".keras"),
    "quantize --report": Command(
        lambda s, t: [str(s / "net.keras"), str(s.parent / "beside.keras"), *_data(s), "--report", t],
        ".html",
    ),
    "shrink": Command(lambda s, t: [str(s / "net.keras"), t, *_data(s), "--params", "0.7"], ".keras"),
    "pack": Command(lambda s, t: [str(s / "int8.tflite"), t], ".tfpk"),
    "unpack": Command(lambda s, t: [str(s / "small.tfpk"), t], ".tflite"),
    "report": Command(lambda s, t: [str(s / "result"), "--output", t], ".html"),
    "verify --report": Command(
        lambda s, t: [str(s / "q.keras"), str(s / "int8.tflite"), *_data(s), "--report", t], ".html"
    ),
    "verify --model_explorer": Command(
        lambda s, t: [str(s / "q.keras"), str(s / "int8.tflite"), *_data(s), "--model_explorer", t],
        ".json",
    ),
    "compare --report": Command(
        lambda s, t: [str(s / "float.tflite"), str(s / "int8.tflite"), *_data(s), "--report", t], ".html"
    ),
    "inspect": Command(lambda s, t: [str(s / "int8.tflite")], None),
    "inspect --graph": Command(lambda s, t: [str(s / "int8.tflite"), "--graph"], None),
    "check": Command(lambda s, t: [str(s / "net.keras"), "--json"], None),
    "bench": Command(lambda s, t: [str(s / "int8.tflite"), "--runs", "60"], None),
    "recipes": Command(lambda s, t: [], None),
    "completion": Command(lambda s, t: ["bash"], None),
    "--help": Command(lambda s, t: [], None),
}
