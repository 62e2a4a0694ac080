"""Files are written whole or not at all, and only where a file belongs."""

import os
import stat
import time
from pathlib import Path

import pytest

from tfopt._files import check_parent, is_same_file, write_together, write_whole


def test_a_link_stays_a_link_and_permissions_stay(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    target.chmod(0o600)
    link.symlink_to(target)
    write_whole(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert is_same_file(link, target)
    assert sorted(os.listdir(tmp_path)) == ["link", "target"]


def test_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "new", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "name", ["name with spaces", "Größe.tflite", "a" * 250, os.fsdecode(b"\xff\xfe.tflite")]
)
def test_names(tmp_path: Path, name: str) -> None:
    write_whole(check_parent(tmp_path / name, "path"), b"whole")
    assert os.listdir(tmp_path) == [name]


def test_a_failure_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


def test_files_that_belong_together_are_all_old_or_all_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk with room for one of two."""
    paths = [tmp_path / "a.h", tmp_path / "a.cc"]
    for path in paths:
        path.write_bytes(b"old")
    real, synced = os.fsync, []

    def full_at_the_second(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 2:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full_at_the_second)
    with pytest.raises(OSError, match=r"No space left .*a\.cc"):
        write_together(dict.fromkeys(paths, b"new"))
    assert [path.read_bytes() for path in paths] == [b"old", b"old"] and len(os.listdir(tmp_path)) == 2


def test_what_a_killed_writer_left_goes(tmp_path: Path) -> None:
    stale, fresh = (tmp_path / f".file.{digit * 16}" for digit in "ab")
    other = tmp_path / ".file.txt"
    for path in (stale, fresh, other):
        path.write_bytes(b"part")
    hour_ago = time.time() - 4000
    os.utime(stale, (hour_ago, hour_ago))
    os.utime(other, (hour_ago, hour_ago))
    write_whole(tmp_path / "file", b"whole")
    assert sorted(os.listdir(tmp_path)) == sorted([fresh.name, other.name, "file"])


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("none/file", "there is no folder"),
        ("folder", "Got the folder"),
        ("pipe", "device or pipe"),
        ("dangling", "there is no folder"),
    ],
)
def test_places_that_are_no_file(tmp_path: Path, place: str, words: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "none" / "file")
    with pytest.raises(ValueError, match=words):
        check_parent(tmp_path / place, "path")


def test_no_path_at_all() -> None:
    with pytest.raises(TypeError, match="must be a path"):
        check_parent(None, "path")  # type: ignore[arg-type]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere"
)
def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match="you may write to"):
        check_parent(tmp_path / "file", "path")
