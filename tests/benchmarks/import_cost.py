"""What `import tfopt` adds to importing keras and tensorflow, and what its light commands cost as processes.

CPU seconds, the median over fresh processes, with the byte code that Python keeps and without any.

python -m tests.benchmarks.import_cost
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tfopt._report import Table

RUNS = 5
# Python writes byte code, whatever the caller's environment says.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
# The byte code of what tfopt brings is looked for in a folder of its own: that of keras and tensorflow is there always.
PROGRAM = """
import sys, time, keras, tensorflow
sys.pycache_prefix = sys.argv[1] or None
start = time.process_time()
import tfopt
print(time.process_time() - start)
"""
FILE = Path(__file__).parents[1] / "data" / "quantized_half_pruned.tflite"


def import_seconds(byte_code: bool) -> float:
    """CPU seconds of the import alone."""
    with tempfile.TemporaryDirectory() as empty:
        command = [sys.executable, "-c", PROGRAM, "" if byte_code else empty]
        environment = ENVIRONMENT if byte_code else {**ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "1"}
        result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(result.stdout.split()[-1])


def process_seconds(*arguments: str) -> float:
    """CPU seconds of `tfopt` with these arguments, from start to exit."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "tfopt", *arguments]
    subprocess.run(command, capture_output=True, check=True, env=ENVIRONMENT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _median(measure: Callable[[], float]) -> str:
    measure()  # the first run writes byte code and fills the disk's cache
    return f"{statistics.median(measure() for _ in range(RUNS)):.3f} s"


def main() -> None:
    """Prints the figures and their goals."""
    rows = (
        (
            "import tfopt, after keras and tensorflow",
            _median(lambda: import_seconds(byte_code=True)),
            "<= 0.05 s",
        ),
        ("the same without byte code", _median(lambda: import_seconds(byte_code=False)), "<= 0.1 s"),
        ("tfopt --help", _median(lambda: process_seconds("--help")), "<= 0.5 s"),
        ("tfopt inspect FILE", _median(lambda: process_seconds("inspect", str(FILE))), "<= 0.5 s"),
    )
    print(Table("Cost of importing, CPU seconds", ("what", "measured", "goal"), rows))


if __name__ == "__main__":
    main()
