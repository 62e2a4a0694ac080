"""Files of recorded samples: what went into a runtime's kernels, and what came out."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.kernels.samples import OPERATIONS, Grid, Sample
from tests.kernels.weighted import Weighted

DATA = Path(__file__).parents[1] / "data"


@dataclasses.dataclass(frozen=True)
class Golden:
    """A sample, and the stored codes that a runtime's kernel wrote."""

    sample: Sample | Weighted
    written: np.ndarray

    @property
    def name(self) -> str:
        """For the test's report: the operation, and the bits of its codes."""
        if isinstance(self.sample, Weighted):
            channels = "channels" if len(self.sample.weight_scales) > 1 else "tensor"
            return f"{self.sample.name}-{self.sample.source.num_bits}-{channels}-{self.sample.bias.dtype}"
        return f"{self.sample.operation.kind}-{self.sample.grids[0].num_bits}-{self.sample.output.num_bits}"


def save(path: Path, rows: list[Golden]) -> None:
    """Writes all rows: a table of contents, and one array of bytes, so that zlib finds more to save."""
    index, parts = [], []
    for row in rows:
        fields, arrays = _taken_apart(row)
        shapes = [[str(array.dtype), list(array.shape)] for array in arrays]
        index.append({**fields, "arrays": shapes})
        parts.extend(np.ascontiguousarray(array).tobytes() for array in arrays)
    contents = np.frombuffer(json.dumps(index).encode(), np.uint8)
    np.savez_compressed(path, index=contents, numbers=np.frombuffer(b"".join(parts), np.uint8))


def load(path: Path) -> list[Golden]:
    """The rows of a file."""
    with np.load(path) as file:
        index, numbers = json.loads(file["index"].tobytes()), file["numbers"].tobytes()
    rows, at = [], 0
    for fields in index:
        arrays = []
        for dtype, shape in fields["arrays"]:
            array = np.frombuffer(numbers, dtype, int(np.prod(shape)), at).reshape(shape)
            arrays.append(array)
            at += array.nbytes
        rows.append(_put_together(fields, arrays))
    return rows


def _taken_apart(row: Golden) -> tuple[dict[str, Any], list[np.ndarray]]:
    sample = row.sample
    if isinstance(sample, Weighted):
        fields = {"weighted": sample.name, "grids": [dataclasses.astuple(sample.source)]}
        arrays = [sample.codes, sample.weights, sample.weight_scales, sample.bias, row.written]
    else:
        grids = [dataclasses.astuple(grid) for grid in sample.grids]
        fields, arrays = {"kind": sample.operation.kind, "grids": grids}, [*sample.codes, row.written]
    return {**fields, "output": dataclasses.astuple(sample.output)}, arrays


def _put_together(fields: dict[str, Any], arrays: list[np.ndarray]) -> Golden:
    grids = tuple(Grid(*numbers) for numbers in fields["grids"])
    *codes, written = arrays
    output = Grid(*fields["output"])
    if "kind" in fields:
        return Golden(Sample(OPERATIONS[fields["kind"]], grids, output, tuple(codes)), written)
    return Golden(Weighted(fields["weighted"], grids[0], output, *codes), written)
