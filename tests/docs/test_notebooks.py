"""Every notebook runs from top to bottom, and prints what it shows, but for figures."""

from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, same

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def printed(notebook: Any) -> str:
    """What the cells of a notebook print and return."""
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", ())]
    return "".join(out.get("text") or out.get("data", {}).get("text/plain", "") for out in outputs)


def test_there_are_three() -> None:
    assert {path.stem for path in NOTEBOOKS} >= {"quickstart", "microcontroller", "colab_tpu"}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_what_it_shows(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    from tests.docs.notebooks import run_notebook, without_logs

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    shown = printed(nbformat.read(path, as_version=4))
    found = printed(without_logs(run_notebook(path, tmp_path)))
    assert shown
    assert same(shown, found), found
