"""Folders of results: there whole or not at all."""

import shutil
from pathlib import Path

import pytest

from tfopt.pipeline._output_folder import FILES, check_output_folder, output_folder


def _write(folder: Path) -> None:
    for name in FILES:
        (folder / name).write_text("new")


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(RuntimeError), output_folder(out) as work:
        _write(work)
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with output_folder(out) as work:
        _write(work)
        with pytest.raises(ValueError, match="Another process writes to"), output_folder(out):
            pass
    (out / "report.md").write_text("old")
    with pytest.raises(KeyboardInterrupt), output_folder(out) as work:
        _write(work)
        raise KeyboardInterrupt
    assert (out / "report.md").read_text() == "old"
    with output_folder(out, resume=True) as work:  # what was interrupted is still there
        assert (work / "report.md").read_text() == "new"
    assert (out / "report.md").read_text() == "new" and [path.name for path in tmp_path.iterdir()] == ["out"]
    # Killed between the renames: the old results come back, and then the new ones.
    shutil.move(out, tmp_path / ".out.old")
    with output_folder(out):
        assert (out / "report.md").read_text() == "new"


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    out = tmp_path / "out"
    check_output_folder(out, overwrite=False)
    out.mkdir()
    check_output_folder(out, overwrite=False)
    _write(out)
    check_output_folder(out, overwrite=True)
    (out / "thesis.tex").write_text("")
    rows = [
        (out, False, "must be empty, or new"),
        (out, True, "nothing but older results .* with thesis.tex"),
    ]
    rows.append((out / "report.md", True, "must be a folder. Got the file"))
    rows.append((out / "report.md" / "x", True, "is not a folder"))
    for path, overwrite, message in rows:
        with pytest.raises(ValueError, match=message):
            check_output_folder(path, overwrite)


def test_what_a_killed_writer_left_is_not_among_the_results(tmp_path):
    """Else the next run would refuse the folder, as it holds a file of someone else's."""
    wanted, left = tmp_path / "out", ".report.md." + 16 * "a"
    with pytest.raises(KeyboardInterrupt), output_folder(wanted, resume=True) as work:
        (work / left).write_text("half")
        (work / ".kept").write_text("by someone")
        raise KeyboardInterrupt
    with output_folder(wanted, resume=True) as work:
        (work / "report.md").write_text("whole")
    assert {path.name for path in wanted.iterdir()} == {"report.md", ".kept"}
