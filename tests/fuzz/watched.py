"""Runs a command on many files in a process of its own, and watches it: signals, time, memory, files that it opens."""

import contextlib
import dataclasses
import gc
import importlib
import io
import json
import os
import re
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# Of the processor, as other programs may run beside; what waits for something never uses any.
SECONDS, BYTES = 10.0, 2 << 30
_WALL = 60 * SECONDS
# What a sentence of tfopt's own says; what does not is a library's.
WORDS = r"\b(must|cannot|There is|Expected|holds? a|This is no|there twice|Got|Check that)\b"
# What may be read besides the folder of the run.
READ = (
    sys.prefix,
    sys.base_prefix,
    str(Path(__file__).parents[2]),
    "/proc/",
    "/sys/",
    "/dev/",
    "/etc/",
    "/usr/",
    "/lib",
    str(Path.home() / ".keras"),  # the settings of Keras and of Keras 2
)

# TensorFlow's autograph writes the code that it makes, and Python compiles it.
_AUTOGRAPH = ("/tmp/__autograph", "/tmp/__pycache__/__autograph")


@dataclasses.dataclass(frozen=True)
class Found:
    """What became of one run of a command.

    Attributes:
        number: of the mutant.
        code: the exit code; None where there is none.
        said: what stood on standard error.
        wrong: what must not be, in a word and a line: a signal, a traceback, ...; empty where all is well.
        seconds: how long it took.
        bytes: memory that it took beyond what the process had before.
    """

    number: int
    code: int | None
    said: str
    wrong: str
    seconds: float
    bytes: int


@dataclasses.dataclass(frozen=True)
class Job:
    """A command to run on many files.

    Attributes:
        command: its name.
        arguments: from a mutant to the arguments of the command.
        folder: the only one that may be written to.
        seeds: what may be read besides.
    """

    command: str
    arguments: Callable[[Path], list[str]]
    folder: Path
    seeds: Path


def watch(job: Job, files: list[tuple[int, Path]]) -> Iterator[Found]:
    """Runs a command of tfopt once for each file, all in one process until one ends it.

    Args:
        job: the command.
        files: numbers and mutants.
    """
    left = list(files)
    while left:
        for found in _worker(job, left):
            left.pop(0)
            yield found


def _worker(job: Job, files: list[tuple[int, Path]]) -> Iterator[Found]:
    read, write = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.close(read)
        try:
            _work(job, files, write)
        finally:
            os._exit(0)
    os.close(write)
    held = b""
    for number, _ in files:
        begin, used = time.monotonic(), _processor(child)
        # The first run imports what the command needs.
        most = SECONDS + (30 if number == files[0][0] else 0)
        while b"\n" not in held:
            if not select.select([read], [], [], 0.5)[0]:
                if _processor(child) - used < most and time.monotonic() - begin < _WALL:
                    continue
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                os.close(read)
                yield Found(number, None, "", f"hang: over {SECONDS:.0f} s", SECONDS, 0)
                return
            part = os.read(read, 1 << 16)
            if not part:
                _, status = os.waitpid(child, 0)
                os.close(read)
                how = (
                    signal.Signals(os.WTERMSIG(status)).name
                    if os.WIFSIGNALED(status)
                    else f"exit {status >> 8}"
                )
                yield Found(number, None, "", f"signal: {how}", 0.0, 0)
                return
            held += part
        line, _, held = held.partition(b"\n")
        yield Found(**json.loads(line))
    os.close(read)
    os.waitpid(child, 0)


def _work(job: Job, files: list[tuple[int, Path]], pipe: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # While this is set, nothing is done to file descriptors.
    from tfopt import cli

    module = importlib.import_module(f"tfopt.commands.{job.command}")
    _quicker(module)
    opened: list[str] = []
    _hear(opened, job)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    gc.freeze()  # TensorFlow's many objects are not to be looked through each time
    for number, path in files:
        given = job.arguments(path)
        gc.collect()
        _reset_peak()
        opened.clear()
        before, begin = _status("VmRSS"), time.process_time()
        code, said, wrong = _run(cli, job.command, given)
        seconds, taken = time.process_time() - begin, _status("VmHWM") - before
        if not wrong and taken > BYTES:
            wrong = f"memory: {taken / 2**30:.1f} GiB"
        if not wrong and opened:
            wrong = f"outside: {opened[0]}"
        found = Found(number, code, said[:2000], wrong, seconds, taken)
        os.write(pipe, json.dumps(dataclasses.asdict(found)).encode() + b"\n")


def _run(cli: Any, command: str, arguments: list[str]) -> tuple[int | None, str, str]:
    """Exit code, what it said, and what is wrong with that."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli._command(command, arguments)
    except SystemExit as error:
        return None, err.getvalue(), f"exit: {error.code}"
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = f"{type(error).__name__}: {str(error)[:200]!r} at {place.filename}:{place.lineno}"
        return None, err.getvalue(), f"traceback: {words}"
    said = err.getvalue()
    if code not in (0, 1, 2):
        return code, said, f"exit: {code}"
    if "Traceback" in said:
        return code, said, "traceback: printed"
    if any(not one.isprintable() and one not in "\n\t" for one in said + out.getvalue()):
        return code, said, "terminal: letters that do something"
    if code == 2 and not (len(said) < 1500 and re.search(WORDS, said)):
        return code, said, f"words: {said.strip()[-300:]}"
    return code, said, ""


def _quicker(module: Any) -> None:
    """Models that are not changed are read once, and a trial is a fork of this process, without its imports."""
    from tfopt.commands import _arguments
    from tfopt.runtimes import _trial, _trial_run

    real, models = _arguments.load_model, {}

    def load_model(path: str, *given: Any, **named: Any) -> Any:
        if "mutant" in str(path):
            return real(path, *given, **named)
        if path not in models:
            models[path] = real(path, *given, **named)
        return models[path]

    for owner in (module, sys.modules.get("tfopt.commands._technique")):
        if hasattr(owner, "load_model"):
            owner.load_model = load_model

    def run(given: list[str], timeout: float, **_: Any) -> Any:
        child = os.fork()
        if not child:
            code = 1
            try:
                resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
                _trial_run.main(*given[3:])
                code = 0
            except SystemExit as error:
                code = int(error.code or 0)
            except BaseException:
                code = 1
            finally:
                os._exit(code)
        status = os.waitpid(child, 0)[1]
        return SimpleNamespace(returncode=os.waitstatus_to_exitcode(status))

    _trial.subprocess = SimpleNamespace(run=run, TimeoutExpired=TimeoutError)  # type: ignore[assignment]


def _hear(opened: list[str], job: Job) -> None:
    """Notes each file that Python opens elsewhere."""
    inside, readable = str(job.folder.resolve()), (*READ, str(job.seeds.resolve()))

    def hear(event: str, given: tuple[Any, ...]) -> None:
        if event not in ("open", "os.remove", "os.rename", "os.mkdir", "os.system", "subprocess.Popen"):
            return
        if not isinstance(given[0], (str, bytes)) or (event == "os.remove" and given[1] != -1):
            return  # by a descriptor, of what was opened before
        name = os.path.realpath(os.fsdecode(given[0])) if given and given[0] else ""
        writes = event != "open" or (isinstance(given[1], str) and set(given[1]) & set("wxa+"))
        # Temporary files, and what TensorFlow looks for.
        if name.startswith((inside, "/tmp/tmp", *_AUTOGRAPH, "/dev/", "/proc/")) or name == "/tmp":
            return
        if event == "subprocess.Popen" and name == os.path.realpath(sys.executable):  # Vela
            return
        if not writes and name.startswith(readable):
            return
        opened.append(f"{event} {name!r}")

    sys.addaudithook(hear)


def _processor(process: int) -> float:
    """Seconds of the processor that a process and those that it waited for have used; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _status(key: str) -> int:
    """A figure of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) << 10
    return 0
