"""Every benchmark in turn, each in a process of its own: `make bench`."""

import subprocess
import sys
from pathlib import Path

for path in sorted(Path(__file__).parent.glob("*_cost.py")):
    subprocess.run([sys.executable, "-m", f"tests.benchmarks.{path.stem}"], check=True)
    print(flush=True)
