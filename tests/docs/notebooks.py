"""Runs notebooks, and keeps what they print: python -m tests.docs.notebooks examples/quickstart.ipynb ..."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient


def run_notebook(path: Path, folder: Path) -> Any:
    """The notebook with what its cells print, run from top to bottom in a folder."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    return notebook


def without_logs(notebook: Any) -> Any:
    """The notebook without what libraries log and when cells ran, which differ from run to run."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
            cell.metadata.pop("execution", None)
    return notebook


if __name__ == "__main__":
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(without_logs(run_notebook(Path(name), Path(folder))), name)
