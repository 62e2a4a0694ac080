"""The files of a teacher cache: a JSON manifest, and for each entry one .npy file a shard, memory-mapped when read.

A shard is valid once the manifest lists it, and the manifest is replaced after the shard's files are complete: a build
that is killed at any moment leaves a cache from which the next build continues.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from tfopt._files import write_whole

MANIFEST = "manifest.json"
SAMPLES = "samples"


class Store:
    """One folder of cached outputs.

    Args:
        directory: the folder.

    Attributes:
        manifest: what the manifest says; empty where there is none yet.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        path = directory / MANIFEST
        self.manifest: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        self._maps: dict[Path, np.ndarray] = {}

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Replaces the manifest in one step."""
        write_whole(
            self.directory / MANIFEST, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
        )
        self.manifest = manifest

    def write_shard(self, number: int, entries: dict[str, np.ndarray]) -> None:
        """Writes one shard's files, each whole or not at all."""
        for name, array in entries.items():
            stream = io.BytesIO()
            np.save(stream, array)
            write_whole(self._path(name, number), stream.getvalue())

    def remove_leftovers(self) -> None:
        """Removes the half-written temporary files of a build that was killed."""
        for path in self.directory.glob(".*.*"):
            if path.name.startswith((f".{MANIFEST}.", ".samples.", ".output_", ".feature_")):
                path.unlink()

    def read(self, name: str, number: int) -> np.ndarray:
        """One entry of one shard, as a memory map."""
        path = self._path(name, number)
        if path not in self._maps:
            self._maps[path] = np.load(path, mmap_mode="r")
        return self._maps[path]

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
