"""tfopt and its peers on the same work, in one table for each task.

    python -m tests.benchmarks.peers --quick                          # minutes: scikit-learn's digits, one seed
    TFOPT_TEST_DATA=folder python -m tests.benchmarks.peers --tasks=images,rows:3 --output=results.md

`rows:3` runs three seeds. Each method runs in a process of its own, in the environment of its library. What has run is
not run again: results are kept in `--folder`, and a run that was stopped goes on.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import datetime
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path

import keras
import numpy as np
from absl import app, flags

import tfopt
from tests.benchmarks.peers.cases import METHODS
from tests.benchmarks.peers.coverage import GROUPS, coverage
from tests.benchmarks.peers.environments import CONTENDERS, Contender, methods_of, run_program
from tests.benchmarks.peers.measure import Point, float_outputs, metric_of, read, test_data
from tests.benchmarks.peers.tables import (
    COSTS,
    accuracy_table,
    ahead_of_ours,
    cost_table,
    fidelity_table,
    versions_of,
)
from tests.benchmarks.peers.tasks import TASKS, write
from tfopt._report import Table

FLAGS = flags.FLAGS

# What stands on top of the page of results.
HEAD = """# Beside its peers

The same networks, weights, epochs, batches, augmentation, calibration samples and seeds for every library, each in an
environment of its own; written by `python -m tests.benchmarks.peers {arguments}`.

- *metric*: percent of the test samples that the .tflite file gets right, or its mean squared error.
- *raw*, *gzip*, *for TFLM*: bytes of the file, packed by gzip, and with its kernels compressed by `compress_weights`.
- *Ethos-U*: bytes of flash beside an Ethos-U55 of 128 MACs, as Vela estimates them.
- *latency*: median of a call on one thread of this machine, all files in turns.
- *fidelity*: share of all outputs of the file that are, to half a step of 255, those of the model that was trained in
  Keras, or of the float network where a method leaves no other; *drop*: points of the metric lost between the two.
- *lines*: of a user's code for the method, the training loop's own left out.
- *coverage*: how many untrained networks become a file that LiteRT runs, *partly* with operators that compute in float;
  of tf_keras and TensorFlow 2.15 the networks of keras.applications alone, for the others are written for Keras 3.
- *ahead of every point of ours*: methods that no method of tfopt equals in both the metric and that cost."""

flags.DEFINE_bool(
    "quick", False, "Digits, one seed, and the contenders that need no environment of their own."
)
flags.DEFINE_list(
    "tasks",
    ["digits"],
    "Tasks, of tests/benchmarks/peers/tasks.py; `digits:3` runs three seeds of each method.",
)
flags.DEFINE_list(
    "coverage",
    [],
    "Groups of untrained networks, of tests/benchmarks/peers/coverage.py; `applications:7` takes the first seven.",
)
flags.DEFINE_list("contenders", None, "Modules of contenders; all if not given.")
flags.DEFINE_list("methods", None, "Only methods with one of these in their name.")
flags.DEFINE_string("folder", "build/peers", "Where environments, tasks and results are kept.")
flags.DEFINE_string("output", None, "A Markdown file for the tables.")
flags.DEFINE_float("timeout", 7200.0, "Seconds that a method may take.")


def contenders() -> list[Contender]:
    """Those that the flags name."""
    return [
        contender
        for contender in CONTENDERS
        if contender.module in (FLAGS.contenders or [contender.module])
        and not (FLAGS.quick and contender.requirements)
    ]


def chosen(network: str) -> Iterator[tuple[Contender, str]]:
    """The contenders and methods that the flags name, of those that have this network."""
    for contender in contenders():
        if network not in (contender.networks or (network,)):
            continue
        for method in methods_of(contender):
            if not FLAGS.methods or any(part in method for part in FLAGS.methods):
                yield contender, method


def run_all(name: str, seeds: int, task: Path, folder: Path) -> list[Point]:
    """Run what has not run, and measure everything."""
    points = []
    for seed in range(seeds):
        for contender, method in chosen(TASKS[name].network):
            words = "".join(letter if letter.isalnum() else "-" for letter in method)
            out = folder / "results" / name / f"{contender.module}-{words}-{seed}"
            if not (out / "result.json").exists():
                arguments = [method, str(task), str(out), str(seed)]
                run_program(contender, "run", arguments, out, folder / "environments", FLAGS.timeout)
            points.append(read(contender.title, method, seed, out, task))
            point = points[-1]
            print(
                f"{name}, seed {seed}, {point.name}: {point.error or round(point.metric or 0, 2)}", flush=True
            )
    return points


def time_files(points: list[Point]) -> None:
    """Adds the median milliseconds of the first seed's files, timed in turns."""
    timed = {point.name: point for point in points if point.seed == 0 and not point.error}
    rows = tfopt.runtimes.bench({name: point.path for name, point in timed.items()}).rows if timed else ()
    for row in rows:
        timed[row.name].costs["latency"] = row.median_ms


def tables_of(name: str, points: list[Point], task: Path) -> Iterator[Table]:
    """What is said of one task."""
    y_test = test_data(task)[1]
    regression = not np.issubdtype(y_test.dtype, np.integer)
    table = accuracy_table(name, metric_of(float_outputs(task), y_test), points, regression)
    ahead = {title: ahead_of_ours(points, kind, regression) for kind, title in COSTS.items()}
    said = [f"Ahead of every point of ours, {title}: {', '.join(ahead[title]) or 'none'}." for title in ahead]
    about = f"{TASKS[name].about}; a method trains for up to {TASKS[name].epochs} epochs."
    yield Table(table.title, table.columns, table.rows, (about, *table.notes, *said))
    yield fidelity_table(name, points, regression)
    yield cost_table(name, points)


def counted(words: list[str], known: Iterable[str], flag: str) -> dict[str, int | None]:
    """`["digits:3", "rows"]` -> `{"digits": 3, "rows": None}`."""
    found: dict[str, int | None] = {}
    for word in words:
        name, _, count = word.partition(":")
        if name not in known or not (count or "1").isdecimal() or count == "0":
            raise SystemExit(
                f"--{flag} must be of {', '.join(known)}, with a count or without, as {name}:3. Got {word!r}."
            )
        found[name] = int(count) if count else None
    return found


def machine() -> str:
    """Where and when this was measured."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next(
        (line.split(":")[1].strip() for line in info.splitlines() if "model name" in line), platform.machine()
    )
    sets = "AVX-512" if "avx512f" in info else "AVX2" if "avx2" in info else "no AVX2"
    return (
        f"{datetime.date.today()}, {model} ({sets}), {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"Keras {keras.__version__}, tfopt {tfopt.__version__}"
    )


def main(_: list[str]) -> None:
    """Prints the tables, and writes them."""
    keras.utils.set_random_seed(0)
    folder = Path(FLAGS.folder).absolute()
    tasks = counted(["digits"] if FLAGS.quick else FLAGS.tasks, TASKS, "tasks")
    groups = counted(FLAGS.coverage, GROUPS, "coverage")
    arguments = "--quick" if FLAGS.quick else f"--tasks={','.join(FLAGS.tasks)}"
    arguments += f" --coverage={','.join(FLAGS.coverage)}" if groups else ""
    parts = [HEAD.format(arguments=arguments), f"{machine()}."]
    everything = []
    for name, seeds in tasks.items():
        task = write(name, folder / "tasks" / name)
        points = run_all(name, seeds or 1, task, folder)
        time_files(points)
        everything += points
        for table in tables_of(name, points, task):
            print(table, flush=True)
            parts.append(table.to_markdown())
    parts.append(versions_of(everything))
    if groups:
        table = coverage(groups, [each for each in contenders() if each.module in METHODS], folder)
        print(table, flush=True)
        parts.append(table.to_markdown())
    if FLAGS.output:
        Path(FLAGS.output).write_text("\n\n".join(part.rstrip() for part in parts) + "\n")


if __name__ == "__main__":
    app.run(main)
