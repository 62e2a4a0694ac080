"""A few of the mutants of `python -m tests.fuzz`, in a process that has not run TensorFlow yet."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_changed_files_are_read_or_refused(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds"
    for command in (
        ("tests.fuzz.seeds", seeds),
        ("tests.fuzz", seeds, tmp_path, "--count", 40, "--only", "inspect,pack,verify,compress,unpack"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", *map(str, command)],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert done.returncode == 0, done.stdout + done.stderr[-2000:]
