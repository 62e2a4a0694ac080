"""A few of the kills of `python -m tests.killed`, in a process that has not run TensorFlow yet."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_what_a_kill_leaves_is_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.killed", str(tmp_path), "--count", "3", "--only", "compress"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "killed 3 times" in result.stdout
