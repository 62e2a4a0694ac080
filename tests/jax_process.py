"""Programs on the JAX backend, which is fixed when Keras is imported: each runs in a process of its own."""

import importlib.util
import os
import subprocess
import sys

import pytest

NEEDS_JAX = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install jax"
)


def run_on_jax(program: str, argument: object, devices: int = 1, options: tuple[str, ...] = ()) -> None:
    """Runs a program, which must end without an error and print "done" last.

    Args:
        program: its text.
        argument: what it finds in `sys.argv[1]`.
        devices: how many virtual devices the processor is.
        options: of the interpreter.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, *options, "-c", program, str(argument)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.endswith("done\n"), done.stdout + done.stderr
