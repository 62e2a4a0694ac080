"""Every command that writes, under every trouble with disks, names and terminals: a sentence that is the cause.

python -m tests.troubles SEEDS FOLDER [--only pack,export] [--trouble link,spaces]

SEEDS is a folder that `python -m tests.fuzz.seeds` made. Prints a table: "." where the command did its work, "2" where
it said why not, "!" where anything is wrong, which follows. Troubles that take a disk of their own need a namespace of
mounts (`unshare`), and are left out where there is none.
"""

import argparse
import collections
import dataclasses
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.program import LOADED
from tests.troubles.commands import COMMANDS, Command
from tests.troubles.runs import digest, run
from tests.troubles.troubles import MOUNTS, TROUBLES, Trouble

_APART = "TFOPT_TROUBLES_APART"


@dataclasses.dataclass(frozen=True)
class _Ran:
    """What a command did: its exit code, what stood on standard error, and the files of its place."""

    code: int
    said: str
    before: dict[str, bytes]
    after: dict[str, bytes]

    @property
    def changed(self) -> list[str]:
        return [
            path for path in {**self.before, **self.after} if self.before.get(path) != self.after.get(path)
        ]


def meet(name: str, command: Command, trouble: Trouble, seeds: Path, folder: Path) -> tuple[str, str]:
    """Runs a command in a trouble; what it said, and what is wrong with that or with what is left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with trouble.place(folder, command.ending or "", command.files) as target:
        before = digest(folder)
        given = [name.split()[0], *command.arguments(seeds, str(target))]
        code, said = run(given, trouble.out, trouble.most)
        return said.strip(), _wrong(command, trouble, _Ran(code, said.strip(), before, digest(folder)))


def _wrong(command: Command, trouble: Trouble, ran: _Ran) -> str:
    if "Traceback" in ran.said or "Exception ignored" in ran.said:
        return f"traceback: {ran.said.splitlines()[-1]}"
    hidden = [path for path in ran.after if any(part.startswith(".") for part in Path(path).parts)]
    if hidden:
        return f"left: {hidden}"
    if (
        trouble.out == "closed pipe"
    ):  # who closes it has seen enough: nothing is said, whether or not it was noticed
        return f"said: {ran.said}" if ran.said else ""
    if ran.code in (0, 1):
        return _wrong_work(command, trouble, ran)
    return _wrong_refusal(command, trouble, ran) if ran.code == 2 else f"exit code {ran.code}: {ran.said}"


def _wrong_work(command: Command, trouble: Trouble, ran: _Ran) -> str:
    if trouble.words and not trouble.may_hold:
        return f"exit code {ran.code} where it cannot be done"
    if ran.said:
        return f"exit code {ran.code}, but said: {ran.said}"
    if command.ending is not None and not ran.changed:
        return "nothing was written"
    return ""


def _wrong_refusal(command: Command, trouble: Trouble, ran: _Ran) -> str:
    if not trouble.words:
        return f"refused: {ran.said}"
    if len(ran.said.splitlines()) != 1 or not re.search(trouble.words, ran.said):
        return f"words: {ran.said}"
    if trouble.out != "full" and ran.changed and not command.grows:
        return f"changed, although it was refused: {ran.changed}"
    return ""


def _kind(command: Command) -> str:
    return "none" if command.ending is None else "file" if command.ending else "folder"


def main() -> None:
    """Runs the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("seeds", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--trouble", default="")
    parser.add_argument("--said", action="store_true", help="print each sentence")
    given = parser.parse_args()
    mounts = _go_apart()
    for name in LOADED:
        importlib.import_module(name)  # here, so that each process that is forked has it
    seeds, folder = given.seeds.resolve(), given.folder.resolve()
    commands = given.only.split(",") if given.only else list(COMMANDS)
    troubles = given.trouble.split(",") if given.trouble else list(TROUBLES)
    troubles = [name for name in troubles if mounts or name not in MOUNTS]
    wrong: list[str] = []
    counts: collections.Counter[str] = collections.Counter()
    for at, trouble in enumerate(troubles):
        print(f"{'|' * at}{chr(0x250C)} {trouble}")
    for name in commands:
        row = ""
        for trouble in troubles:
            if _kind(COMMANDS[name]) not in TROUBLES[trouble].takes:
                row += " "
                continue
            said, bad = meet(name, COMMANDS[name], TROUBLES[trouble], seeds, folder / "place")
            row += "!" if bad else "2" if said else "."
            wrong += [f"{name}, {trouble}: {bad}"] if bad else []
            counts[row[-1]] += 1
            if given.said and said:
                print(f"    {trouble}: {said}", flush=True)
        print(f"{row}  {name}", flush=True)
    left = "" if mounts else f"; left out, as nothing can be mounted: {', '.join(sorted(MOUNTS))}"
    print(f"{sum(counts.values())} cases, {counts['2']} refused in a sentence, {len(wrong)} wrong{left}")
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


def _go_apart() -> bool:
    """Goes on where mounts are seen by nobody else; whether that is possible."""
    if _APART not in os.environ:
        how = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
        try:
            can = subprocess.run([*how, "true"], capture_output=True).returncode == 0
        except FileNotFoundError:
            can = False
        os.environ[_APART] = str(int(can))
        if can:
            os.execvp(how[0], [*how, sys.executable, "-m", "tests.troubles", *sys.argv[1:]])
    return os.environ.pop(_APART) == "1"


if __name__ == "__main__":
    main()
