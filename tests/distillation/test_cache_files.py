"""Files of a teacher cache that are not those that were written."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt

X = np.random.default_rng(0).normal(size=(96, 4)).astype("float32")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of three shards."""
    monkeypatch.setattr("tfopt.distillation.teachers._cache_teacher.SHARD_SAMPLES", 32)
    teacher = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    tfopt.cache_teacher(teacher, X, tmp_path, verbose=0)
    assert (tmp_path / "output_0.00002.npy").exists()
    return tmp_path


def _cut(folder: Path) -> None:
    path = folder / "output_0.00001.npy"
    path.write_bytes(path.read_bytes()[:-8])


def _flip(folder: Path) -> None:
    path = folder / "output_0.00001.npy"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))


def _swap(folder: Path) -> None:
    first, second = (folder / f"output_0.0000{number}.npy" for number in (0, 1))
    held = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(held)


def _name_outside(folder: Path) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["entries"]["../outside"] = manifest["entries"].pop("output_0")
    path.write_text(json.dumps(manifest))


def _cut_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text()[:-30])


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut": (_cut, "output_0.00001.npy' cannot be read"),
    "a bit flipped": (_flip, "output_0.00001.npy' is damaged, or another one"),
    "swapped": (_swap, "output_0.00000.npy' is damaged, or another one"),
    "missing": (lambda folder: (folder / "samples.00001.npy").unlink(), "samples.00001.npy' cannot be read"),
    "a name outside": (_name_outside, r"it names '\.\./outside'"),
    "a manifest cut": (_cut_manifest, "manifest .* is damaged"),
    "a manifest of something else": (
        lambda folder: (folder / "manifest.json").write_text("[]"),
        "manifest .* is damaged",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused(name: str, cache: Path) -> None:
    damage, message = DAMAGE[name]
    damage(cache)
    with pytest.raises(ValueError, match=message):
        tfopt.TeacherCache(cache).attach(X)


BUILD = """
import sys, time, numpy as np, keras, tfopt
from tfopt.distillation.teachers import _cache_teacher
_cache_teacher.SHARD_SAMPLES = 8
keras.utils.set_random_seed(0)
teacher = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
x = np.random.default_rng(0).normal(size=(256, 4)).astype("float32")
print(len(tfopt.cache_teacher(teacher, x, sys.argv[1], batch_size=8, verbose=0)))
"""


@pytest.mark.slow
def test_two_processes_build_one_cache(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUILD, str(tmp_path)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "ab"
    ]
    for process in both:
        said, failed = process.communicate()
        assert process.returncode == 0 and said.strip() == "256", failed[-2000:]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
