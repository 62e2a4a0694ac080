"""What `tfopt` is given: files that are damaged or too large, flags and recipes that are wrong."""

import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from tests.program import environment
from tfopt.commands._arguments import load_model, load_samples
from tfopt.data import allow_memory

BROKEN = {
    "empty.npz": b"",
    "cut.npz": b"PK\x03\x04" + bytes(40),
    "text.npz": b"not a zip",
    "pickle.npy": b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
    "cut.keras": b"PK\x03\x04" + bytes(40),
    "empty.keras": b"",
}


@pytest.mark.parametrize("name", BROKEN)
def test_damaged_files_get_one_sentence(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BROKEN[name])
    read = load_model if name.endswith(".keras") else load_samples
    with pytest.raises(ValueError, match="cannot be read") as caught:
        read(str(path))
    assert name in str(caught.value) and len(str(caught.value).splitlines()) == 1


@pytest.mark.slow
def test_what_unpacks_to_too_much_is_refused_unless_it_is_allowed(tmp_path):
    """A file of 300 kB that takes 300 MB, and a model of 3 kB that asks for 4 GB."""
    bomb, config = tmp_path / "bomb.npz", keras.Sequential([keras.Input((10,)), keras.layers.Dense(1)])
    np.savez_compressed(bomb, x=np.zeros(300 << 20, "uint8"))
    with pytest.raises(ValueError, match=r"256 MiB at most for its size. Got .*bomb.npz' with 300 MiB"):
        load_samples(str(bomb))
    with allow_memory(1 << 30):
        assert load_samples(str(bomb))[0].nbytes == 300 << 20
    config.save(tmp_path / "small.keras")
    with (
        zipfile.ZipFile(tmp_path / "small.keras") as small,
        zipfile.ZipFile(tmp_path / "m.keras", "w") as huge,
    ):
        for name in small.namelist():
            huge.writestr(name, small.read(name).replace(b'"units": 1,', b'"units": 100000000,'))
    with pytest.raises(ValueError, match=r"m.keras' asks for more memory than .* --max_memory"):
        load_model(str(tmp_path / "m.keras"))


@pytest.mark.parametrize(
    "value, key",
    [
        ("bytes=100k", 100_000),
        ("2.5M", 2_500_000),
        ("bytes=900", 900),
        ("ten", None),
        ("bytes=1k;macs=2", None),
    ],
)
def test_budget_flag(value, key):
    from tfopt.commands.compress import _within

    if key is not None:
        assert _within(value) == ("quantize.max_bytes", key)
        return
    with pytest.raises(ValueError, match="'--budget' flag must be of the form bytes=100k"):
        _within(value)
    assert _within("bytes=100k,latency=5ms") == ("budget", {"bytes": 100_000.0, "latency": 5.0})


def test_a_wrong_recipe_is_one_sentence_before_tensorflow_loads(tmp_path):
    (tmp_path / "r.yaml").write_text("prune:\n  sparcity: 0.8\n")
    program = "import sys, tfopt.cli\ntry:\n    tfopt.cli.run()\nfinally:\n    print('keras' in sys.modules)"
    arguments = ["compress", "--model", "m.keras", "--data", "d.npz", "--recipe", "r.yaml"]
    command = [sys.executable, "-c", program, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment())
    assert result.returncode == 2 and result.stdout == "False\n"
    assert result.stderr == (
        "tfopt compress: r.yaml, line 2: There is no key 'sparcity' in 'prune'. Did you mean 'sparsity'?\n"
    )
