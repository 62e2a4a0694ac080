"""The files of a teacher cache: a JSON manifest, and for each entry one .npy file a shard, memory-mapped when read.

A shard is valid once the manifest lists it, and the manifest is replaced after the shard's files are complete: a build
that is killed at any moment leaves a cache from which the next build continues. The manifest has a checksum of each
file, which is compared when the file is first read.
"""

import contextlib
import io
import json
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tfopt._files import write_whole

MANIFEST = "manifest.json"
SAMPLES = "samples"
# Entries are names of files: a manifest from elsewhere could name any.
_ENTRY = re.compile(r"(output|feature)_[0-9]+(_values|_classes|_rest)?")


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Waits until no other process builds in a folder, and keeps others waiting; a process that dies lets go."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Store:
    """One folder of cached outputs.

    Args:
        directory: the folder.

    Attributes:
        manifest: what the manifest says; empty where there is none yet.

    Raises:
        ValueError: the manifest is damaged, or names other files than those of a cache.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        path = directory / MANIFEST
        self.manifest: dict[str, Any] = _read_manifest(path) if path.is_file() else {}
        self._maps: dict[Path, np.ndarray] = {}

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Replaces the manifest in one step."""
        write_whole(
            self.directory / MANIFEST, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
        )
        self.manifest = manifest

    def write_shard(self, number: int, entries: dict[str, np.ndarray]) -> dict[str, int]:
        """Writes one shard's files, each whole or not at all; returns the checksum of each."""
        checksums = {}
        for name, array in entries.items():
            stream = io.BytesIO()
            np.save(stream, array)
            write_whole(self._path(name, number), stream.getvalue())
            checksums[name] = zlib.crc32(stream.getvalue())
        return checksums

    def remove_leftovers(self) -> None:
        """Removes the half-written temporary files of a build that was killed."""
        for path in self.directory.glob(".*.*"):
            if path.name.startswith((f".{MANIFEST}.", ".samples.", ".output_", ".feature_")):
                path.unlink()

    def read(self, name: str, number: int) -> np.ndarray:
        """One entry of one shard, as a memory map.

        Raises:
            ValueError: the file is missing, or is not the one that was written.
        """
        path = self._path(name, number)
        if path not in self._maps:
            self._maps[path] = self._checked(path, name, self.manifest["shards"][number])
        return self._maps[path]

    def _checked(self, path: Path, name: str, shard: dict[str, Any]) -> np.ndarray:
        try:
            array = np.load(path, mmap_mode="r")
            same = len(array) == shard["count"]
            if same and "crc32" in shard:  # caches of earlier versions have none
                with open(path, "rb") as stream:
                    checksum = 0
                    while block := stream.read(1 << 22):
                        checksum = zlib.crc32(block, checksum)
                same = checksum == shard["crc32"].get(name)
        except (OSError, ValueError, EOFError, TypeError, AttributeError) as error:
            raise ValueError(
                f"The teacher cache's file {str(path)!r} cannot be read: {error}. Delete {str(self.directory)!r}, and "
                "make the cache again."
            ) from error
        if not same:
            raise ValueError(
                f"The teacher cache's file {str(path)!r} is damaged, or another one: it is not what was written. "
                f"Delete {str(self.directory)!r}, and make the cache again."
            )
        return array

    def rows(self, name: str, rows: np.ndarray) -> np.ndarray:
        """The given rows of an entry, as an array in memory.

        Args:
            name: the entry.
            rows: integer array of shape `(n,)`, row numbers over all shards.
        """
        shards = self.manifest["shards"]
        ends = np.cumsum([shard["count"] for shard in shards])
        numbers = np.searchsorted(ends, rows, side="right")
        first = self.read(name, 0)
        result = np.empty((len(rows), *first.shape[1:]), first.dtype)
        for number in np.unique(numbers):
            here = numbers == number
            result[here] = self.read(name, number)[rows[here] - (ends[number] - shards[number]["count"])]
        return result

    def samples(self) -> np.ndarray:
        """The fingerprints of all samples, in the order of the rows."""
        count = len(self.manifest["shards"])
        return np.concatenate([self.read(SAMPLES, number) for number in range(count)])

    def _path(self, name: str, number: int) -> Path:
        return self.directory / f"{name}.{number:05d}.npy"


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        shards = [int(shard["count"]) for shard in manifest["shards"]]
        names = [*manifest.get("entries", {}), *manifest.get("features", {}).values()]
        fits = all(count > 0 for count in shards) and {"identity", "complete"} <= set(manifest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"The teacher cache's manifest {str(path)!r} is damaged ({type(error).__name__}). Delete its folder, and "
            "make the cache again."
        ) from error
    strange = next((name for name in names if not _ENTRY.fullmatch(str(name))), None)
    if strange is not None or not fits:
        raise ValueError(
            f"The teacher cache's manifest {str(path)!r} is not one that tfopt.cache_teacher wrote"
            f"{'' if strange is None else f': it names {strange!r}'}. Delete its folder, and make the cache again."
        )
    return manifest
