"""A file that would end the process is a sentence."""

from pathlib import Path

import numpy as np
import pytest

from tfopt.conversion._flatbuffer import Flatbuffer
from tfopt.runtimes import CannotRunError
from tfopt.runtimes._trial import try_file


@pytest.fixture(scope="module")
def damaged(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in which the output of a sum says that it is quantized, and not with what step."""
    file = Flatbuffer(files["residual int8"])
    (added, *_) = (op for op in file.graph.operators if file.name(op) == "ADD")
    file.tensor(added.outputs[0]).tensor.quantization.scale = np.array([], "float32")
    file.changed = True
    path = tmp_path_factory.mktemp("damaged") / "damaged.tflite"
    path.write_bytes(file.to_bytes())
    return path


def test_a_crash_is_a_sentence(damaged: Path) -> None:
    with pytest.raises(
        CannotRunError, match=r"damaged.tflite cannot be run: the runtime 'xnnpack' crashes on it"
    ):
        try_file(damaged)


def test_time_is_limited(damaged: Path) -> None:
    with pytest.raises(CannotRunError, match="not done after 0 seconds"):
        try_file(damaged, seconds=0.001)


def test_a_sound_file_passes(files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "sound.tflite").write_bytes(files["residual int8"])
    for runtime in ("xnnpack", "tflm"):
        try_file(tmp_path / "sound.tflite", runtime)
