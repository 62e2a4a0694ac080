"""Standard streams of a program: they may be closed, full, or know few letters."""

import os
import sys


def open_streams() -> None:
    """Makes the standard streams such that anything can be printed.

    A terminal may know fewer letters than a name has. A program that was started with a stream closed gets one that
    leads nowhere: else the next file that is opened would take its number, and with it what libraries print.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def close_output() -> OSError | None:
    """Writes what is still to be written to standard output; the error if that cannot be.

    Then the rest goes nowhere: Python would complain once more at its end.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None
