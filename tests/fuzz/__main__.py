"""Changed files through every command that reads them; what must not happen is printed, with the number of its mutant.

python -m tests.fuzz SEEDS FOLDER [--count 1000] [--first 0] [--only inspect,verify] [--ending .tflite]

SEEDS is a folder that `python -m tests.fuzz.seeds` made; FOLDER takes the mutants, one at a time.
"""

import argparse
import collections
import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras  # noqa: F401  here, so that each process that is forked has it
import tensorflow  # noqa: F401

from tests.fuzz.mutations import mutant
from tests.fuzz.watched import Found, Job, watch

# What is changed -> each command that reads it, with its arguments for a mutant in a folder with the seeds.
Arguments = Callable[[Path, Path], list[str]]
RUNS: dict[str, dict[str, Arguments]] = {
    ".tflite": {
        "inspect": lambda m, s: [str(m)],
        "inspect --graph": lambda m, s: [str(m), "--graph"],
        "inspect --sizes": lambda m, s: [str(m), "--sizes", "--json"],
        "pack": lambda m, s: [str(m), str(m.with_name("out.tfpk"))],
        "verify": lambda m, s: [str(s / "q.keras"), str(m), "--data", str(s / "samples.npz")],
        "compare": lambda m, s: [str(m), "--data", str(s / "samples.npz")],
        "bench": lambda m, s: [str(m), "--runs", "60"],
        "export": lambda m, s: [str(m), str(m.with_name("out.tflite")), "--compress"],
    },
    ".keras": {
        "inspect": lambda m, s: [str(m)],
        "check": lambda m, s: [str(m)],
        "export": lambda m, s: [str(m), str(m.with_name("out.tflite"))],
        "compare": lambda m, s: [str(m), "--data", str(s / "samples.npz")],
        "verify": lambda m, s: [str(m), str(s / "int8.tflite"), "--data", str(s / "samples.npz")],
        "quantize": lambda m, s: [
            str(m),
            str(m.with_name("out.keras")),
            "--data",
            str(s / "samples.npz"),
        ],
    },
    ".npz": {
        "verify": lambda m, s: [str(s / "q.keras"), str(s / "int8.tflite"), "--data", str(m)],
        "compare": lambda m, s: [str(s / "int8.tflite"), "--data", str(m)],
        "export": lambda m, s: [
            str(s / "net.keras"),
            str(m.with_name("out.tflite")),
            "--format",
            "int8",
            "--calibration",
            str(m),
        ],
        "quantize": lambda m, s: [
            str(s / "net.keras"),
            str(m.with_name("out.keras")),
            "--data",
            str(m),
        ],
    },
    ".yaml": {
        "compress": lambda m, s: ["--model", "none.keras", "--data", "none.npz", "--recipe", str(m)],
    },
    ".json": {"report": lambda m, s: [str(m.parent)]},
    ".tfpk": {"unpack": lambda m, s: [str(m), str(m.with_name("out.tflite"))]},
}


def seeds_of(folder: Path, ending: str) -> list[Path]:
    """The sound files of an ending."""
    return sorted(path for path in folder.rglob(f"*{ending}") if path.parent == folder or ending == ".json")


def run(name: str, ending: str, numbers: range, seeds: Path, folder: Path) -> list[Found]:
    """Runs a command on mutants; each lies in a folder of its own name, and goes if nothing is wrong."""
    base = seeds_of(seeds, ending)
    folder.mkdir(parents=True, exist_ok=True)
    given = RUNS[ending][name]
    held = folder / ("report.json" if ending == ".json" else f"mutant{ending}")

    def written(path: Path) -> list[str]:
        number = int(path.name)
        held.write_bytes(mutant(base[number % len(base)].read_bytes(), ending, number))
        return given(held, seeds)

    files = [(number, folder / str(number)) for number in numbers]
    return list(watch(Job(name.split()[0], written, folder, seeds), files))


def main() -> None:
    """Runs the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("seeds", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--ending", default="")
    given = parser.parse_args()
    wrong = 0
    for ending in [given.ending] if given.ending else RUNS:
        for name in RUNS[ending]:
            if given.only and name not in given.only.split(","):
                continue
            begin = time.monotonic()
            folder = given.folder / f"{ending[1:]}-{name.replace(' ', '')}"
            numbers = range(given.first, given.first + given.count)
            found = run(name, ending, numbers, given.seeds, folder)
            print(_summary(name, ending, found, begin), flush=True)
            wrong += sum(bool(one.wrong) for one in found)
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if wrong else 0)


def _summary(name: str, ending: str, found: list[Found], begin: float) -> str:
    codes = collections.Counter(str(one.code) for one in found)
    wrong = collections.defaultdict(list)
    for one in found:
        if one.wrong:
            wrong[re.sub(r"\d+", "N", one.wrong)[:160]].append(one)
    lines = [
        f"{ending} {name}: {len(found)} mutants, exit codes {dict(codes)}, {sum(map(len, wrong.values()))} wrong, at "
        f"most {max(one.seconds for one in found):.1f} s and {max(one.bytes for one in found) / 2**20:.0f} MiB, "
        f"{time.monotonic() - begin:.0f} s in all"
    ]
    for ones in sorted(wrong.values(), key=len, reverse=True)[:25]:
        lines.append(f"    {len(ones)} x {ones[0].wrong[:300]}  (mutants {[one.number for one in ones[:4]]})")
    lasts = (one.said.strip().splitlines()[-1] for one in found if one.said.strip())
    said = collections.Counter(re.sub(r"\d+|/\S*/|b'.*?'|x[\da-f]+", "N", last)[:220] for last in lasts)
    lines += [f"        {count} x {words}" for words, count in said.most_common(12)]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
