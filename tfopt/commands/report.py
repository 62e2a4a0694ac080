"""tfopt report FOLDER: the page report.html again, from what tfopt compress wrote into a folder."""

import json
from pathlib import Path
from typing import Any

from absl import flags

from tfopt._files import check_parent, write_whole
from tfopt.commands._arguments import take
from tfopt.commands._output import check_ending
from tfopt.page import Content, html_page

_OUTPUT = flags.DEFINE_string("output", None, "The page to write; by default report.html in the folder.")


def main(arguments: list[str]) -> None:
    """Runs the command."""
    (folder,) = take(arguments, "FOLDER")
    result, recipe = _read(Path(folder))
    if _OUTPUT.value:
        check_ending(_OUTPUT.value, "--output", ".html", ".htm")
    output = check_parent(_OUTPUT.value or Path(folder) / "report.html", "--output")
    try:
        page = html_page(Content.of_result(result, recipe))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(
            f"The report.json in {folder!r} must be one that this version of tfopt compress wrote. Got one in another "
            f"form ({type(error).__name__}: {error}). Run tfopt compress again, with --recipe {folder}/recipe.yaml."
        ) from error
    write_whole(output, page.encode())
    print(f"Written: {output}")


def _read(folder: Path) -> tuple[dict[str, Any], str]:
    """What compress found, and its recipe."""
    path = folder / "report.json"
    if not path.is_file():
        raise ValueError(
            f"The FOLDER must be one that tfopt compress wrote, with a report.json. Got {str(folder)!r} instead."
        )
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"The file {str(path)!r} must hold JSON. It is damaged: {error}.") from error
    recipe = folder / "recipe.yaml"
    return result, recipe.read_text(encoding="utf-8") if recipe.is_file() else ""
