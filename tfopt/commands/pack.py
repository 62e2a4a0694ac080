"""tfopt pack FILE.tflite FILE.tfpk: as few bytes, for transport."""

from pathlib import Path

from absl import flags

from tfopt._text import format_bytes
from tfopt.commands._arguments import take
from tfopt.compression import pack

_STRIP = flags.DEFINE_bool("strip", False, "Leave out what TFLite Micro does not read, such as names.")


def main(arguments: list[str]) -> None:
    """Runs the command."""
    path, output = take(arguments, "FILE.tflite", "FILE.tfpk")
    try:
        after = pack(path, output, strip=_STRIP.value).stat().st_size
    except ImportError as error:  # which names the package to install
        raise RuntimeError(str(error)) from error
    before = Path(path).stat().st_size
    print(f"Packed {path}, {format_bytes(before)}, as {output}, {format_bytes(after)}.")
