"""tfopt pack FILE.tflite FILE.tfpk: as few bytes, for transport."""

from pathlib import Path

from tfopt._text import format_bytes
from tfopt.commands._arguments import take
from tfopt.compression import pack


def main(arguments: list[str]) -> None:
    """Runs the command."""
    path, output = take(arguments, "FILE.tflite", "FILE.tfpk")
    after = pack(path, output).stat().st_size
    before = Path(path).stat().st_size
    print(f"Packed {path}, {format_bytes(before)}, as {output}, {format_bytes(after)}.")
