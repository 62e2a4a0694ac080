"""A command runs in a process of its own: what a library does to that process is a sentence, and not a crash."""

import contextlib
import os
import signal
import sys
import time
from types import FrameType

# Exit code of a command that cannot be done.
_CANNOT = 2
# Ctrl-C at a terminal reaches both processes, and a signal that is sent to the first is passed on: it counts once.
_TWICE = 1.0
_ENDINGS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))  # Windows has no SIGHUP
_PR_SET_PDEATHSIG = 1  # of Linux, <sys/prctl.h>


def go_on_apart(name: str) -> None:
    """Goes on in a new process. The old one waits for it, ends with its exit code, and says so if a signal ended it.

    Libraries read models, data and .tflite files, and some end the process where these are damaged.

    Args:
        name: of the command, for the message.
    """
    if not hasattr(os, "fork"):  # Windows
        return
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    # What nohup, or a shell behind &, has the program ignore, it goes on to ignore.
    heard = {number for number in _ENDINGS if signal.getsignal(number) != signal.SIG_IGN}
    signal.pthread_sigmask(signal.SIG_BLOCK, heard)  # until both processes know what to do then
    child = os.fork()
    if not child:
        _end_with(parent)
        if signal.SIGINT in heard:
            signal.signal(signal.SIGINT, _Interrupt())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)
        return
    for number in heard:
        signal.signal(number, lambda given, _: _pass_on(child, given))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status >= 0:
        os._exit(status)  # both streams are the child's
    number = signal.Signals(-status)
    if number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
        os.kill(parent, number)
    print(f"tfopt {name}: {_words(number)}", file=sys.stderr)
    sys.exit(_CANNOT)


def _words(number: signal.Signals) -> str:
    if number == signal.SIGKILL:
        return "The process was ended by SIGKILL, which the system sends where memory runs out."
    return (
        f"A library crashed ({number.name}): a file that it was given is damaged, or the library has a bug."
    )


def _pass_on(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


class _Interrupt:
    """What Ctrl-C does: `KeyboardInterrupt`, once for each time that someone presses it."""

    def __init__(self) -> None:
        self.last = -_TWICE

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self.last >= _TWICE:
            self.last = now
            raise KeyboardInterrupt


def _end_with(parent: int) -> None:
    """The process ends where the other one is killed: nothing goes on that nobody waits for."""
    with contextlib.suppress(Exception):  # another system
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(_CANNOT)
