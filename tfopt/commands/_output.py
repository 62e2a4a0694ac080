"""What commands print: a report, as a table or as JSON, and what its files take."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from tfopt._files import check_parent, write_whole
from tfopt._report import Report
from tfopt.commands._arguments import is_tflite
from tfopt.runtimes import inspect

_JSON = flags.DEFINE_bool("json", False, "Print JSON in place of a table.")
_REPORT = flags.DEFINE_string("report", None, "Write a page of HTML that shows it, too: report.html, say.")
_SIZES = flags.DEFINE_bool("sizes", False, "Print what a file takes in flash and for download, in each form.")


def show(report: Report, files: Sequence[str] = (), page: str = "") -> None:
    """Prints a report; with `--report` writes a page about it.

    Args:
        report: what the command found.
        files: the files that it is about; with `--sizes` what the .tflite ones among them take.
        page: the name of the report in a page; empty for a command that has none.
    """
    if page and _REPORT.value:
        _write_page(report, files, page)
    sizes = _sizes(files) if _SIZES.value else None
    if _JSON.value:
        content: dict[str, Any] = report.to_dict()
        print(json.dumps(content if sizes is None else {**content, "sizes": sizes.to_dict()}, indent=2))
    else:
        print(report if sizes is None else f"{report}\n\n{sizes}")


def check_page() -> None:
    """Raises if the page cannot be written, before the long work.

    Raises:
        ValueError: it is no name of a page, its folder does not exist, or may not be written to.
    """
    if _REPORT.value:
        check_ending(_REPORT.value, "--report", ".html", ".htm")
        check_parent(_REPORT.value, "--report")


def check_ending(path: str, flag: str, *endings: str) -> None:
    """Raises unless a file to be written has an ending of its kind: a model in the wrong place would be lost.

    >>> check_ending("net.keras", "--report", ".html")
    Traceback (most recent call last):
    ...
    ValueError: The '--report' flag must name a file that ends in .html. Got 'net.keras' instead.
    """
    if not path.lower().endswith(endings):
        raise ValueError(
            f"The '{flag}' flag must name a file that ends in {' or '.join(endings)}. Got {path!r} instead."
        )


def _write_page(report: Report, files: Sequence[str], name: str) -> None:
    from tfopt.page import Content, html_page  # here: few runs want a page

    plain = report.to_dict()
    reports = plain.get("reports", {name: plain})
    if "verify" in reports:
        reports["inspect"] = inspect(files[-1]).to_dict()
    # Through JSON, as in report.json: keys are strings.
    content = Content(json.loads(json.dumps(reports)), title=", ".join(Path(file).name for file in files))
    write_whole(_REPORT.value, html_page(content).encode())


def wants_json() -> bool:
    """Whether nothing but JSON may be printed."""
    return bool(_JSON.value)


def _sizes(files: Sequence[str]) -> Report | None:
    named = {Path(path).name: path for path in files if is_tflite(path)}
    # Imported here: it loads Keras, which `tfopt inspect` does not need otherwise.
    from tfopt.compression import sizes

    return sizes(named) if named else None
