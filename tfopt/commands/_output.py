"""What commands print: a report, as a table or as JSON, and what its files take."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from tfopt._report import Report
from tfopt.commands._arguments import is_tflite

_JSON = flags.DEFINE_bool("json", False, "Print JSON in place of a table.")
_SIZES = flags.DEFINE_bool("sizes", False, "Print what a file takes in flash and for download, in each form.")


def show(report: Report, files: Sequence[str] = ()) -> None:
    """Prints a report.

    Args:
        report: what the command found.
        files: the files that it is about; with `--sizes` what the .tflite ones among them take.
    """
    sizes = _sizes(files) if _SIZES.value else None
    if _JSON.value:
        content: dict[str, Any] = report.to_dict()
        print(json.dumps(content if sizes is None else {**content, "sizes": sizes.to_dict()}, indent=2))
    else:
        print(report if sizes is None else f"{report}\n\n{sizes}")


def wants_json() -> bool:
    """Whether nothing but JSON may be printed."""
    return bool(_JSON.value)


def _sizes(files: Sequence[str]) -> Report | None:
    named = {Path(path).name: path for path in files if is_tflite(path)}
    # Imported here: it loads Keras, which `tfopt inspect` does not need otherwise.
    from tfopt.compression import sizes

    return sizes(named) if named else None
