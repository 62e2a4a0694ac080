"""Commands of `tfopt` in processes of their own that do not each wait for TensorFlow to load.

A server that has loaded the libraries forks one process a command; what that process prints and its exit status are
those of the program. What only a real start shows (what is imported, foreign messages) is tested with `subprocess`.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

LOADED = [
    "keras",
    "tensorflow",
    "tfopt.cli",
    "tfopt.conversion",
    "tfopt.page",
    "tfopt.quantization",
    "tfopt.runtimes",
]


def environment():
    """That of a user, who has asked neither for TensorFlow's messages nor for output without a buffer."""
    asked = {"TF_CPP_MIN_LOG_LEVEL", "PYTHONUNBUFFERED"}
    return {name: value for name, value in os.environ.items() if name not in asked}


def run_tfopt(*arguments: object, cwd: Path | str | None = None) -> subprocess.CompletedProcess[str]:
    """`tfopt ARGUMENTS` in a folder: its exit status, standard output and standard error."""
    given = [str(argument) for argument in arguments]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=_command, args=(given, cwd, folder))
        process.start()
        process.join()
        out, err = ((Path(folder) / name).read_text() for name in ("out", "err"))
    return subprocess.CompletedProcess(["tfopt", *given], process.exitcode or 0, out, err)


def _command(given: list[str], cwd: Path | str | None, folder: str) -> None:
    """What the new process does."""
    for stream, name in ((sys.stdout, "out"), (sys.stderr, "err")):
        file = os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, stream.fileno())
    os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)  # a user has not asked for TensorFlow's messages
    os.chdir(cwd or os.getcwd())
    sys.argv = ["tfopt", *given]
    from tfopt import cli

    cli.run()
