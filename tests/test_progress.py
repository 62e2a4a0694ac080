"""The bar comes on a terminal alone, and only where there is something to wait for."""

import io
import time

import pytest

from tfopt import _progress
from tfopt._progress import progress
from tfopt._quiet import quiet


@pytest.fixture
def terminal(monkeypatch):
    """rich takes the stream for a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(_progress, "_DELAY", 0.05)


@pytest.mark.parametrize("total", [4, None])
def test_it_shows_on_a_terminal_what_takes_long(terminal, capfd, total):
    with progress("Counting", total) as advance:
        advance(1)
        time.sleep(0.3)
        with progress("Inside", 1) as inner:  # there is room for one
            inner(1)
    shown = capfd.readouterr()
    assert shown.out == "" and "Counting" in shown.err and "Inside" not in shown.err
    with progress("Next", 1):
        time.sleep(0.2)
    assert "Next" in capfd.readouterr().err


def test_nothing_is_shown_of_what_is_short_or_has_no_terminal(terminal, monkeypatch, capfd):
    with progress("Counting", 4) as advance:
        advance(4)
    assert capfd.readouterr() == ("", "")
    monkeypatch.delenv("FORCE_COLOR")
    with progress("Counting", 4):
        time.sleep(0.1)
    assert capfd.readouterr() == ("", "")


def test_an_error_ends_the_bar(terminal):
    with pytest.raises(ValueError), progress("Counting", 4):
        raise ValueError
    assert not _progress._shown.locked()


def test_it_does_not_get_into_what_is_captured(terminal, capfd):
    with progress("Counting", None), quiet(2) as log:
        time.sleep(0.3)
    assert log == [] and "Counting" in capfd.readouterr().err


def test_a_stream_without_a_descriptor_gets_no_bar(terminal, monkeypatch):
    monkeypatch.setattr("sys.stderr", stream := io.StringIO())
    with progress("Counting", 4) as advance:
        time.sleep(0.1)
        advance(1)
    assert stream.getvalue() == "" and not _progress._shown.locked()
