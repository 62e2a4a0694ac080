"""C arrays: what a compiler makes of them is the file, byte for byte."""

import shutil
import subprocess

import keras
import pytest

import tfopt
from tfopt.conversion import write_c_array

PROGRAM = """
#include <stdint.h>
#include <stdio.h>
#include "%s"
#include "%s"
int main(void) {
  if ((uintptr_t)%s %% 16) return 3;
  return fwrite(%s, 1, %s_len, stdout) == %s_len ? 0 : 4;
}
"""


@pytest.fixture(scope="module")
def tflite(tmp_path_factory):
    path = tmp_path_factory.mktemp("arrays") / "model.tflite"
    tfopt.export(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), path)
    return path


@pytest.mark.parametrize(
    ("file", "name", "expected"),
    [
        ("net-8.cc", None, "net_8_tflite"),
        ("8.cpp", "g_model", "g_model"),
        ("float.c", None, "float_tflite"),
    ],
)
def test_a_compiler_gets_the_same_bytes(tflite, tmp_path, file, name, expected):
    compiler = "gcc" if file.endswith(".c") else "g++"
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    source, header = write_c_array(tflite, tmp_path / file, name)
    assert (source, header) == (tmp_path / file, (tmp_path / file).with_suffix(".h"))
    main = tmp_path / f"main{source.suffix}"
    main.write_text(PROGRAM % (header.name, header.name, *4 * [expected]))
    strict = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run(
        [compiler, *strict, "-o", tmp_path / "main", main, source], check=True, capture_output=True
    )
    printed = subprocess.run([tmp_path / "main"], check=True, capture_output=True).stdout
    assert printed == tflite.read_bytes()


def test_bad_arguments_teach(tflite, tmp_path):
    with pytest.raises(ValueError, match=r"'path_c' argument must end in .*Got .*a\.txt.*'a\.cc'"):
        write_c_array(tflite, tmp_path / "a.txt")
    with pytest.raises(
        ValueError, match=r"'name' argument must be a C identifier.*Got 'my-net'.*Pass 'my_net'"
    ):
        write_c_array(tflite, tmp_path / "a.cc", "my-net")
    with pytest.raises(ValueError, match=r"no folder"):
        write_c_array(tflite, tmp_path / "no" / "a.cc")
    with pytest.raises(ValueError, match=r"missing\.tflite"):
        write_c_array(tmp_path / "missing.tflite", tmp_path / "a.cc")
    assert not list(tmp_path.iterdir())
