"""tfopt unpack FILE.tfpk FILE.tflite: the file that was packed, bit for bit."""

from absl import flags

from tfopt._text import format_bytes
from tfopt.commands._arguments import take
from tfopt.compression import unpack

_MAX_BYTES = flags.DEFINE_integer("max_bytes", 1 << 28, "The largest file to make of it.", lower_bound=1)


def main(arguments: list[str]) -> None:
    """Runs the command."""
    path, output = take(arguments, "FILE.tfpk", "FILE.tflite")
    after = unpack(path, output, max_bytes=_MAX_BYTES.value).stat().st_size
    print(f"Unpacked {path} as {output}, {format_bytes(after)}.")
