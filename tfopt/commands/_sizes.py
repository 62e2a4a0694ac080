"""The flag `--sizes`, of the commands that write or read .tflite files."""

from collections.abc import Iterable
from pathlib import Path

from absl import flags

_SIZES = flags.DEFINE_bool("sizes", False, "Print what a file takes in flash and for download, in each form.")


def print_sizes(paths: Iterable[str]) -> None:
    """Prints what .tflite files take in each form, if the flag is set; other files are passed over."""
    files = {Path(path).name: path for path in paths if path.endswith(".tflite")}
    if not _SIZES.value or not files:
        return
    # Imported here: it loads Keras, which `tfopt inspect` does not need otherwise.
    from tfopt.compression import sizes

    print(f"\n{sizes(files)}")
