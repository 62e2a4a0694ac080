"""tfopt and its peers on the same work, in one table for each task.

    python -m tests.benchmarks.peers --quick                          # minutes: scikit-learn's digits, one seed
    TFOPT_TEST_DATA=folder python -m tests.benchmarks.peers --tasks=images,rows:3 --output=pages

`rows:3` runs three seeds. Each method runs in a process of its own, in the environment of its library. What has run is
not run again: results are kept in `--folder`, and a run that was stopped goes on.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

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
from tests.benchmarks.peers.pages import write_page
from tests.benchmarks.peers.tables import (
    AHEAD,
    COSTS,
    accuracy_table,
    ahead_of_ours,
    cost_table,
    fidelity_table,
)
from tests.benchmarks.peers.tasks import TASKS, write
from tfopt._report import Table

FLAGS = flags.FLAGS

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
flags.DEFINE_string("output", None, "A folder for a Markdown page of each task, and an index.")
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
    table = accuracy_table(metric_of(float_outputs(task), y_test), points, regression)
    ahead = {title: ahead_of_ours(points, kind, regression) for kind, title in COSTS.items()}
    said = [f"{AHEAD}, {title}: {'; '.join(ahead[title]) or 'none'}." for title in ahead]
    yield Table(table.title, table.columns, table.rows, (*table.notes, *said))
    yield fidelity_table(points, regression)
    yield cost_table(points)


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


def main(_: list[str]) -> None:
    """Prints the tables, and writes them."""
    keras.utils.set_random_seed(0)
    folder = Path(FLAGS.folder).absolute()
    tasks = counted(["digits"] if FLAGS.quick else FLAGS.tasks, TASKS, "tasks")
    groups = counted(FLAGS.coverage, GROUPS, "coverage")
    for name, seeds in tasks.items():
        task = write(name, folder / "tasks" / name)
        points = run_all(name, seeds or 1, task, folder)
        time_files(points)
        about = f"{TASKS[name].about}; a method trains for up to {TASKS[name].epochs} epochs."
        arguments = "--quick" if FLAGS.quick else f"--tasks={name}" + (f":{seeds}" if seeds else "")
        show(name, about, arguments, [*tables_of(name, points, task)])
    if groups:
        table = coverage(groups, [each for each in contenders() if each.module in METHODS], folder)
        about = "How many untrained networks go through at all, by the plainest way of each library."
        show("coverage", about, f"--coverage={','.join(FLAGS.coverage)}", [table])


def show(name: str, about: str, arguments: str, tables: list[Table]) -> None:
    """Prints the tables, and writes their page."""
    for table in tables:
        print(table, flush=True)
    for flag, chosen in (("contenders", FLAGS.contenders), ("methods", FLAGS.methods)):
        arguments += f" --{flag}={','.join(chosen)}" if chosen else ""
    if FLAGS.output:
        write_page(Path(FLAGS.output), name, about, arguments, tables)


if __name__ == "__main__":
    app.run(main)
