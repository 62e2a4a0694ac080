"""kill -9 at random moments of `compress` and of `demo`: what is left is whole, and the run can be taken up.

python -m tests.killed FOLDER [--count 50] [--only compress]
"""

import argparse
import json
import random
import shutil
from pathlib import Path

import keras
import numpy as np

import tfopt.pipeline._compress  # noqa: F401  here, so that each process that is forked has it
from tests.killed.killed import apart, check_whole, digest, run


def compress(folder: Path) -> list[str]:
    """The arguments that compress a small model, in three epochs."""
    apart(lambda: _write_inputs(folder))
    given = ["--model", str(folder / "net.keras"), "--data", str(folder / "d.npz")]
    return [*given, "--output_dir", str(folder / "out"), "--prune", "0.5", "--epochs", "3"]


def _write_inputs(folder: Path) -> None:
    net = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3, "softmax")]
    )
    net.save(folder / "net.keras")
    rng = np.random.default_rng(0)
    np.savez(folder / "d.npz", x=rng.normal(size=(64, 6)).astype("float32"), y=rng.integers(0, 3, 64))


def demonstrate(folder: Path) -> list[str]:
    """The arguments of the demo."""
    return ["--epochs", "1", "--output_dir", str(folder / "out")]


COMMANDS = {"compress": compress, "demo": demonstrate}


def kill(command: str, folder: Path, count: int) -> str:
    """Kills a command `count` times, checks what is left, and lets it end; what was found, in a line."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    given = COMMANDS[command](folder)
    out, again = folder / "out", ["--overwrite"] if command == "compress" else []
    code, changes = run(command, given, folder)
    wanted, names = _metrics(out), tuple(digest(out))
    if code or not names:
        raise AssertionError(f"exit code {code}, {names} written")
    draw, resumed = random.Random(0), 0
    for number in range(count):
        old = digest(out)
        at = draw.randrange(changes)
        killed, _ = run(command, [*given, *again], folder, at)
        check_whole(out, old, names)
        if command == "compress" and killed < 0 and number % 5 == 0:
            code, _ = run(command, [*given, *again, "--resume"], folder)
            if code or _metrics(out) != wanted:
                raise AssertionError(
                    f"killed before change {at}: exit code {code}, {_metrics(out)} for {wanted}"
                )
            resumed += 1
    code, _ = run(command, [*given, *again], folder)
    left = sorted(path.name for path in folder.iterdir() if path.name.startswith("."))
    if code or left or set(digest(out)) != set(names):
        raise AssertionError(f"at the end: exit code {code}, {left} left, {sorted(digest(out))}")
    return f"{command}: killed {count} times before one of {changes} changes, {resumed} resumed with the same metrics"


def _metrics(out: Path) -> object:
    report = json.loads((out / "report.json").read_text())
    return report.get("after", [row["metric"] for row in report.get("compare", {}).get("rows", [])])


def main() -> None:
    """Runs the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    for command in [given.only] if given.only else COMMANDS:
        print(kill(command, given.folder / command, given.count), flush=True)


if __name__ == "__main__":
    main()
