"""Files to compare the result with: what the original is without the techniques.

A new one is a row of `BASELINES`.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from tfopt._export_from import export
from tfopt.pipeline._run import Run
from tfopt.pipeline._techniques import TECHNIQUES
from tfopt.quantization import QuantConfig, quantize
from tfopt.recipes import Quantize


@dataclasses.dataclass(frozen=True)
class Baseline:
    """A row of the table.

    Attributes:
        name: its row in the comparison.
        wanted: whether it is another file than the result.
        write: writes it to a path.
    """

    name: str
    wanted: Callable[[Run], bool]
    write: Callable[[Run, Path], object]


def _write_float(run: Run, path: Path) -> None:
    export(run.original, path, batch_size=run.recipe.export.batch_size or None)


def _write_int8(run: Run, path: Path) -> None:
    config = QuantConfig.for_target(run.recipe.target)
    q = quantize(run.original, run.calibration(), config)
    export(q, path, batch_size=run.recipe.export.batch_size or None)


def _is_more_than_int8(run: Run) -> bool:
    recipe = run.recipe
    trained = recipe.train.epochs or recipe.max_drop is not None
    others = [row.name for row in TECHNIQUES if row.name not in ("quantize", "distill")]
    used = any(getattr(recipe, name) is not None for name in others)
    return bool(trained or used or recipe.export.compress or recipe.quantize != Quantize())


BASELINES: tuple[Baseline, ...] = (
    Baseline("float", lambda run: True, _write_float),
    Baseline("int8", _is_more_than_int8, _write_int8),
)


def write_baselines(run: Run, folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Writes the files of the table.

    Args:
        run: what to make them of.
        folder: where to; it is made.

    Returns:
        The files by name, and a sentence for each that cannot be written: the result does not hang on them.
    """
    folder.mkdir(exist_ok=True)
    files, notes = {}, []
    for row in BASELINES:
        if row.wanted(run):
            run.say(f"Writing the {row.name} file to compare with")
            path = folder / f"{row.name}.tflite"
            try:
                row.write(run, path)
                files[row.name] = path
            except (ValueError, RuntimeError, NotImplementedError) as error:
                notes.append(f"There is no {row.name} file to compare with: {error}")
    return files, notes
