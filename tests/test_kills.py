"""A training that was killed ends in the same file; `python -m tests.kills` kills more often, in more ways."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_two_kills_change_nothing() -> None:
    # A process of its own: it is copied before TensorFlow has run an operation.
    command = [sys.executable, "-m", "tests.kills", "2", "epochs"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "epochs: 2 kills" in done.stdout and done.stdout.endswith("the same file\n"), (
        done.stdout + done.stderr
    )
