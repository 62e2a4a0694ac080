"""What `import tfopt` adds to importing keras and tensorflow, in CPU seconds: median over fresh processes.

python -m tests.benchmarks.import_cost
"""

import statistics
import subprocess
import sys

from tfopt._report import Table

RUNS = 5
PROGRAM = """
import time, keras, tensorflow
start = time.process_time()
import tfopt
print(time.process_time() - start)
"""


def measure() -> list[float]:
    """CPU seconds of each run."""
    runs = [
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        for _ in range(RUNS)
    ]
    return [float(run.stdout.split()[-1]) for run in runs]


def main() -> None:
    """Prints the figure and its goal."""
    seconds = statistics.median(measure())
    rows = (("import tfopt, after keras and tensorflow", f"{seconds:.3f} s", "<= 0.1 s"),)
    print(Table("Cost of importing", ("what", "measured", "goal"), rows))


if __name__ == "__main__":
    main()
