"""Packed files: smaller than gzip makes them, given back bit for bit in Python and in C, and robust."""

import shutil
import struct
import subprocess
import tracemalloc
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tests.program import run_tfopt
from tfopt._text import format_bytes
from tfopt.compression import pack, unpack
from tfopt.compression._container import Container, Stream, deflate
from tfopt.compression._pack import pack_bytes, unpack_bytes
from tfopt.runtimes import measure_size, run

ROOT = Path(__file__).parent.parent.parent
COMPILER = shutil.which("cc")
needs_a_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler, cc")


@pytest.fixture(scope="module")
def contents(plain, tmp_path_factory) -> dict[str, bytes]:
    """Files of all kinds of numbers."""
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((200,)), layers.Dense(100), layers.Dense(2)])
    kernel = model.layers[0].kernel
    kernel.assign(np.where(rng.random(kernel.shape) < 0.9, 0, kernel.numpy()))
    path = tmp_path_factory.mktemp("pack") / "a.tflite"
    found = {"int8": plain}
    for format in ("float32", "float16"):
        tfopt.export(model, path, format=format)
        found[format] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def unpack_in_c(tmp_path_factory):
    """The example, compiled so that it stops at a read or write out of bounds."""
    program = tmp_path_factory.mktemp("c") / "unpack"
    source = ROOT / "examples" / "unpack.c"
    assert len(source.read_text().splitlines()) < 150
    command = [COMPILER, "-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-o", program, source]
    checked = [*command, "-fsanitize=address,undefined", "-fno-sanitize-recover"]
    if subprocess.run(checked, capture_output=True).returncode:
        subprocess.run(command, check=True)

    def run_program(packed, output):
        return subprocess.run(
            [program, packed, output], capture_output=True, text=True, env={"ASAN_OPTIONS": "detect_leaks=0"}
        )

    return run_program


# What a file may be larger than gzip makes it: where DEFLATE is best, by the heads, of 24 bytes and of 18.
@pytest.mark.parametrize(("kind", "larger"), [("int8", -1), ("float32", 24 - 18), ("float16", -1)])
def test_a_file_is_smaller_than_gzipped_and_given_back(kind, larger, contents, tmp_path):
    (tmp_path / "a.tflite").write_bytes(contents[kind])
    packed = pack(tmp_path / "a.tflite", tmp_path / "a.tfpk")
    assert packed.stat().st_size <= measure_size(contents[kind]).gzip + larger
    assert unpack(packed, tmp_path / "b.tflite").read_bytes() == contents[kind]


def test_a_stripped_file_is_smaller_still_and_runs(contents, tmp_path):
    pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    (tmp_path / "a.tflite").write_bytes(contents["int8"])
    sizes = [
        pack(tmp_path / "a.tflite", tmp_path / "a", strip=strip).stat().st_size for strip in (False, True)
    ]
    assert sizes[1] < 0.85 * sizes[0]
    stripped = unpack(tmp_path / "a", tmp_path / "b.tflite")
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 16))
    for name, expected in run(contents["int8"], x, "tflm").raw.items():
        np.testing.assert_array_equal(run(stripped, x, "tflm").raw[name], expected)


@needs_a_compiler
@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_the_c_example_gives_it_back(kind, contents, unpack_in_c, tmp_path):
    for block_bits in (13, 6):
        (tmp_path / "a.tfpk").write_bytes(pack_bytes(contents[kind], block_bits))
        result = unpack_in_c(tmp_path / "a.tfpk", tmp_path / "c.tflite")
        assert result.returncode == 0, result.stderr
        assert (tmp_path / "c.tflite").read_bytes() == contents[kind]


@needs_a_compiler
@pytest.mark.parametrize(
    "rest", [b"", b"a", b"abcabcabc" * 400, np.random.default_rng(0).bytes(70_000)], ids=len
)
def test_the_c_example_inflates_every_kind_of_block(rest, unpack_in_c, tmp_path):
    """Fixed words, words of its own, and stored bytes, as zlib chooses them."""
    packed = Container(len(rest), zlib.crc32(rest), [], [], rest).to_bytes()
    assert unpack_bytes(packed) == rest
    (tmp_path / "a.tfpk").write_bytes(packed)
    result = unpack_in_c(tmp_path / "a.tfpk", tmp_path / "c")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "c").read_bytes() == rest


def _head(**changes) -> bytes:
    fields = {"magic": b"TFPK", "version": 1, "block": 13, "streams": 0, "size": 3, "crc": zlib.crc32(b"abc")}
    fields |= {"described": 3, "deflated": len(deflate(b"abc"))} | changes
    return struct.pack("<4sBBHIIII", *fields.values())


def _of(*streams: Stream, rest: bytes = b"", size: int = 3, **container) -> bytes:
    blocks = [np.zeros(2, "<u2")] * len(streams)
    return Container(size, 0, list(streams), blocks, rest, **container).to_bytes()


TABLE = np.eye(1, 256, dtype=np.int64)[0] * 4096
WHOLE = _head() + deflate(b"abc")


@pytest.mark.parametrize(
    ("packed", "words"),
    [
        (b"", "begins with b''"),
        (b"PK\3\4" + WHOLE[4:], r"begins with b'PK"),
        (_head(version=2) + WHOLE[24:], "of version 2"),
        (_head(block=17) + WHOLE[24:], "of version 1.17"),
        (
            _head(size=2**32 - 1) + WHOLE[24:],
            "4,294,967,295 bytes, more than the 268,435,456 that 'max_bytes'",
        ),
        (_head(described=2**31) + WHOLE[24:], "head does not fit"),
        (WHOLE[:-1], "head does not fit"),
        (_head(described=4) + WHOLE[24:], "another length"),
        (_head(described=2) + WHOLE[24:], "another length"),
        (_head(streams=1) + WHOLE[24:], "description ends early"),
        (_head() + b"\7" * (len(WHOLE) - 24), "description is damaged"),
        (_head(crc=0) + WHOLE[24:], "checksum"),
        (_head(size=4) + WHOLE[24:], "do not add up"),
        (WHOLE + b"\0\0", "do not add up"),
        (_of(Stream(1, 3, 1, TABLE)), "does not lie in the file"),
        (_of(Stream(0, 2, 3, TABLE), rest=b"a"), "does not lie in the file"),
        (_of(Stream(0, 3, 0, TABLE)), "does not lie in the file"),
        (_of(Stream(0, 3, 1, TABLE // 2)), "shares of a stream do not add up"),
        (_of(Stream(0, 2, 1, TABLE), Stream(0, 2, 1, TABLE)), "longer than the file"),
        (_of(Stream(0, 2, 1, TABLE), Stream(1, 1, 1, TABLE)), "block"),
        (_of(Stream(0, 3, 1, TABLE), block_bits=0), "do not add up"),
    ],
)
def test_a_damaged_file_teaches(packed, words, tmp_path):
    (tmp_path / "a.tfpk").write_bytes(packed)
    with pytest.raises(ValueError, match=rf"cannot be unpacked: .*{words}.*Fetch it again"):
        unpack(tmp_path / "a.tfpk", tmp_path / "b.tflite")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tfpk"]


def test_a_bomb_takes_no_memory(tmp_path):
    bomb = deflate(bytes(1 << 27))
    (tmp_path / "a.tfpk").write_bytes(_head(deflated=len(bomb)) + bomb)
    tracemalloc.start()
    with pytest.raises(ValueError, match="another length"):
        unpack(tmp_path / "a.tfpk", tmp_path / "b.tflite")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 21


def test_paths_teach(contents, tmp_path):
    (tmp_path / "a.tfpk").write_bytes(pack_bytes(contents["int8"]))
    with pytest.raises(ValueError, match="There is no file"):
        unpack(tmp_path / "none.tfpk", tmp_path / "b.tflite")
    with pytest.raises(ValueError, match="no folder"):
        unpack(tmp_path / "a.tfpk", tmp_path / "none" / "b.tflite")
    with pytest.raises(ValueError, match=r"must name a \.tflite file"):
        pack(tmp_path / "a.tfpk", tmp_path / "b.tfpk")
    with pytest.raises(ValueError, match=r"more than the 1,000 that 'max_bytes' allows"):
        unpack(tmp_path / "a.tfpk", tmp_path / "b.tflite", max_bytes=1000)


def test_the_commands(contents, tmp_path):
    (tmp_path / "a.tflite").write_bytes(contents["int8"])

    size = format_bytes(len(contents["int8"]))
    result = run_tfopt("pack", "a.tflite", "a.tfpk", cwd=tmp_path)
    assert f"Packed a.tflite, {size}, as a.tfpk, " in result.stdout, result.stderr
    result = run_tfopt("unpack", "a.tfpk", "b.tflite", cwd=tmp_path)
    assert f"Unpacked a.tfpk as b.tflite, {size}." in result.stdout, result.stderr
    assert (tmp_path / "b.tflite").read_bytes() == contents["int8"]
    result = run_tfopt("unpack", "a.tflite", "c.tflite", cwd=tmp_path)
    assert result.returncode == 2 and "must name a whole file that tfopt pack wrote" in result.stderr


def mutated(packed: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with some changed, left out, doubled or put elsewhere."""
    damaged = bytearray(packed)
    for _ in range(rng.integers(1, 4)):
        # Half of the changes hit the head, where they matter most.
        at = int(rng.integers(min(24, len(damaged)) if rng.random() < 0.5 else len(damaged)))
        end = min(len(damaged), at + int(rng.integers(1, 9)))
        match rng.integers(5):
            case 0:
                damaged[at] ^= 1 << int(rng.integers(8))
            case 1:
                damaged[at:end] = rng.bytes(end - at)
            case 2:
                del damaged[at:end]
            case 3:
                damaged[at:at] = damaged[at:end]
            case 4:
                del damaged[max(at, 24) :]
    return bytes(damaged)


@pytest.mark.slow
def test_ten_thousand_damaged_files(tmp_path):
    """Each is given back whole or is a clean error, and nothing but the output is ever written."""
    rng = np.random.default_rng(0)
    content = bytes(rng.integers(0, 3, 600, dtype="uint8")) + b"the rest"
    blocks = pack_bytes_of(content)
    outcomes = {True: 0, False: 0}
    tracemalloc.start()
    for _ in range(10_000):
        (tmp_path / "a.tfpk").write_bytes(mutated(blocks, rng))
        try:
            same = unpack(tmp_path / "a.tfpk", tmp_path / "b", max_bytes=1 << 20).read_bytes() == content
        except ValueError as error:
            assert "cannot be unpacked" in str(error)
            outcomes[False] += 1
        else:
            assert same
            outcomes[True] += 1
            (tmp_path / "b").unlink()
        assert {path.name for path in tmp_path.iterdir()} == {"a.tfpk"}
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()
    assert outcomes[False] > 9_000, outcomes


@pytest.mark.slow
@needs_a_compiler
def test_damaged_files_in_c(unpack_in_c, tmp_path):
    rng = np.random.default_rng(1)
    content = bytes(rng.integers(0, 3, 600, dtype="uint8")) + b"the rest"
    packed = pack_bytes_of(content)
    for _ in range(500):
        (tmp_path / "a.tfpk").write_bytes(mutated(packed, rng))
        result = unpack_in_c(tmp_path / "a.tfpk", tmp_path / "b")
        if result.returncode:
            assert result.returncode == 1 and result.stderr.startswith("unpack: "), result.stderr
            assert not (tmp_path / "b").exists()
        else:
            assert (tmp_path / "b").read_bytes() == content
            (tmp_path / "b").unlink()


def pack_bytes_of(content: bytes) -> bytes:
    """A packed file of 600 coded bytes, in blocks of 32, and the rest."""
    from tfopt.coding import encode_blocks, histogram, shares

    values = np.frombuffer(content, "uint8")[:600]
    table = shares(histogram(values))
    (blocks,) = encode_blocks([values], table[None], 32)
    stream = Stream(0, 600, 1, table)
    packed = Container(len(content), zlib.crc32(content), [stream], blocks, content[600:], 5).to_bytes()
    assert unpack_bytes(packed) == content
    return packed


def test_the_file_that_is_read_is_not_overwritten(tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(b"whole")
    for call in (pack, unpack):
        with pytest.raises(ValueError, match="must not be the file that is read"):
            call(path, tmp_path / "." / "a.tflite")
    assert path.read_bytes() == b"whole"
