"""The pages of results: one of each task, one of the coverage, and an index that says where peers are ahead.

Each page says when, where and by which command it was written: tasks are run on different days and machines, and what
is compared stands on one page.
"""

import datetime
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

import keras

import tfopt
from tests.benchmarks.peers.tables import AHEAD, COSTS
from tfopt._report import Table

# What stands on top of the index.
HEAD = """# Beside its peers

The same networks, weights, epochs, batches, augmentation, calibration samples and seeds for every library, each in an
environment of its own. Each page names its day, machine, versions and command; whatever is compared ran in one run.

- *metric*: percent of the test samples that the .tflite file gets right, or its mean squared error.
- *raw*, *gzip*, *for TFLM*: bytes of the file, packed by gzip, and with its kernels compressed by `compress_weights`.
- *Ethos-U*: bytes of flash beside an Ethos-U55 of 128 MACs, as Vela estimates them.
- *latency*: median of a call on one thread of this machine, all files in turns.
- *fidelity*: share of all outputs of the file that are, to half a step of 255, those of the model that was trained in
  Keras, or of the float network where a method leaves no other; *drop*: points of the metric lost between the two.
- *lines*: of a user's code for the method, the training loop's own left out.
- *coverage*: how many untrained networks become a file that LiteRT runs, *partly* with operators that compute in float:
  *forms* in which models are written, *networks* of ten kinds, what people *reported* of layers and inputs, and those
  of keras.applications, which alone tf_keras and TensorFlow 2.15 get, for the others are written for Keras 3.

The table names the methods of peers that no method of tfopt equals in both the metric and the cost of the column."""


def machine() -> str:
    """Where and when this is measured."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next(
        (line.split(":")[1].strip() for line in info.splitlines() if "model name" in line), platform.machine()
    )
    sets = "AVX-512" if "avx512f" in info else "AVX2" if "avx2" in info else "no AVX2"
    return (
        f"{datetime.date.today()}, {model} ({sets}), {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"Keras {keras.__version__}, tfopt {tfopt.__version__}"
    )


def write_page(folder: Path, name: str, about: str, arguments: str, tables: Sequence[Table]) -> None:
    """One page of the folder, whole, and its index anew."""
    folder.mkdir(parents=True, exist_ok=True)
    ran = f"`python -m tests.benchmarks.peers {arguments}`: {machine()}."
    parts = [f"# {name}", about, ran, *(table.to_markdown().rstrip() for table in tables)]
    _write(folder / f"{name}.md", parts)
    write_index(folder)


def write_index(folder: Path) -> None:
    """Lists the pages that are there, whenever they were written."""
    rows, others = [], []
    for page in sorted(folder.glob("*.md")):
        if page.name == "index.md":
            continue
        text = page.read_text()
        ahead = dict(re.findall(rf"^{AHEAD}, ([\w -]+): (.*)\.$", text, re.MULTILINE))
        link = f"[{page.stem}]({page.name})"
        if ahead:
            rows.append((link, *(ahead.get(title, "-") for title in COSTS.values())))
        else:
            _, about, *_ = text.split("\n\n")
            others.append(f"{link}: {about}")
    table = Table(AHEAD, ("task", *COSTS.values()), tuple(rows), tuple(others))
    _write(folder / "index.md", [HEAD, table.to_markdown().rstrip()])


def _write(path: Path, parts: Sequence[str]) -> None:
    path.write_text("\n\n".join(parts) + "\n")
