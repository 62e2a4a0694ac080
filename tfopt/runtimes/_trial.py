"""A first run of a file in a process of its own: a broken file ends that process, and not this one."""

import os
import signal
import subprocess
import sys

from tfopt.runtimes._runtime import CannotRunError
from tfopt.runtimes._trial_run import TOO_MUCH

_SECONDS = 60.0
_MEMORY = 2 << 30


def try_file(
    path: str | os.PathLike, runtime: str = "xnnpack", seconds: float = _SECONDS, memory: int = _MEMORY
) -> None:
    """Runs a .tflite file once on zeros in a process of its own, with limits on time and memory.

    Runtimes trust a file: one that was damaged, or made to do harm, can end the process that loads it.

    Args:
        path: a .tflite file.
        runtime: as for `tfopt.runtimes.run`.
        seconds: the limit on time.
        memory: the limit on memory, in bytes beyond those that the file has.

    Raises:
        CannotRunError: the file ends the process, takes too long or too much memory. What a runtime says of a file that
            it refuses properly is said where the file is run.

    >>> import keras, os, tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.ReLU()])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
    >>> model.export(path, format="litert", verbose=False)
    >>> try_file(path)
    """
    path = os.fspath(path)
    command = [sys.executable, "-m", "tfopt.runtimes._trial_run", path, runtime, str(memory)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise CannotRunError(f"{path} cannot be run: it was not done after {seconds:.0f} seconds.") from None
    if done.returncode == TOO_MUCH:
        raise CannotRunError(
            f"{path} cannot be run: it asks for more than {memory / 2**30:.3g} GiB of memory."
        )
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise CannotRunError(
            f"{path} cannot be run: the runtime {runtime!r} crashes on it ({name}). The file is damaged; export it "
            "again."
        )
