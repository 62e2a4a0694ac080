"""A few of the rows of `python -m tests.fuzz` and `tests.troubles`, in processes that have not run TensorFlow yet."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def _run(*command: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "seeds"
    _run("tests.fuzz.seeds", folder)
    return folder


def test_changed_files_are_read_or_refused(seeds: Path, tmp_path: Path) -> None:
    _run("tests.fuzz", seeds, tmp_path, "--count", 40, "--only", "inspect,pack,verify,compress,unpack")


def test_trouble_with_disks_names_and_terminals_is_a_sentence(seeds: Path, tmp_path: Path) -> None:
    _run("tests.troubles", seeds, tmp_path, "--only", "pack,report,inspect,--help")
