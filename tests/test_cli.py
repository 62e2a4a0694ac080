"""The `tfopt` program: what a person types and sees."""

import json
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

import tfopt
from tests.program import environment, run_tfopt


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A quantized model, its file and samples, made once."""
    folder = tmp_path_factory.mktemp("cli")
    x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    q = tfopt.quantize(model, calibration=x)
    q.save(folder / "q.keras")
    tfopt.export(q, folder / "q.tflite")
    np.savez(folder / "samples.npz", x=x, y=np.argmax(q.predict(x, verbose=0), axis=1))
    return folder


def test_usage_and_unknown_commands():
    usage = run_tfopt("--help")
    assert usage.returncode == 0
    assert "usage: tfopt COMMAND" in usage.stdout
    wrong = run_tfopt("prune")
    assert wrong.returncode == 2
    assert "There is no command 'prune'" in wrong.stderr
    assert all(len(line) <= 80 for line in usage.stdout.splitlines())


@pytest.mark.parametrize("arguments", [("--help",), ("inspect", "q.tflite")])
def test_what_needs_no_model_loads_no_tensorflow(files, arguments):
    program = (
        "import sys, tfopt.cli\ntry:\n    tfopt.cli.run()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=files)
    assert result.returncode == 0, result.stderr
    assert not {"keras", "tensorflow", "ai_edge_litert.interpreter"} & set(result.stderr.split())


def test_export_inspect_verify_compare(files):
    exported = run_tfopt("export", files / "q.keras", files / "new.tflite", "--strict")
    assert exported.returncode == 0, exported.stderr
    assert "FULLY_CONNECTED" in exported.stdout
    inspected = run_tfopt("inspect", files / "new.tflite")
    assert "SOFTMAX" in inspected.stdout
    given = ("--data", files / "samples.npz", "--report")
    verified = run_tfopt("verify", files / "q.keras", files / "new.tflite", *given, files / "verify.html")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    compared = run_tfopt("compare", files / "q.keras", files / "new.tflite", *given, files / "compare.html")
    assert "q.keras" in compared.stdout
    assert "100.00%" in compared.stdout
    for name, section in {"verify": "parity", "compare": "tradeoff"}.items():
        assert f'<section id="{section}"' in (files / f"{name}.html").read_text()
    for result in (exported, inspected, verified, compared):
        assert all(len(line) <= 80 for line in result.stdout.splitlines())


def test_mistakes_get_one_sentence(files):
    for arguments, words in [
        (("export", files / "q.keras"), "Expected MODEL.keras FILE.tflite. Got"),
        (
            ("verify", files / "q.keras", files / "q.tflite", "--data", "none.npz"),
            "There is no file 'none.npz'",
        ),
        (
            ("export", files / "q.keras", files / "no" / "a.tflite"),
            "must name a file in a folder that exists",
        ),
        (("inspect", files / "samples.npz"), "must name a .tflite file"),
        (("report", files), "must be one that tfopt compress wrote"),
    ]:
        result = run_tfopt(*arguments)
        assert result.returncode == 2
        assert words in result.stderr
        assert "Traceback" not in result.stderr


def test_verify_fails_on_another_model(files, tmp_path):
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax", bias_initializer="ones")])
    other.layers[0].kernel.assign(-3.0 * np.ones((4, 3)).cumsum(axis=1))
    other.save(tmp_path / "other.keras")
    result = run_tfopt(
        "verify", tmp_path / "other.keras", files / "q.tflite", "--data", files / "samples.npz"
    )
    assert result.returncode == 1
    assert "FAILED" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("group", [True, False])
def test_an_interrupt_is_one_line(tmp_path, group):
    """Ctrl-C at a terminal goes to all processes of the command; `kill -INT` goes to the first."""
    command = [sys.executable, "-m", "tfopt", "demo", "--output_dir", str(tmp_path / "out")]
    demo = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment(),
        # Where the tests run in the background it is ignored, which a program goes on to do.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while "1/4" not in demo.stdout.readline():
        pass
    (os.killpg if group else os.kill)(demo.pid, signal.SIGINT)
    _, said = demo.communicate(timeout=60)
    assert demo.returncode == 130 and said.strip() == "tfopt demo: interrupted"
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="one process then")
def test_a_crash_is_one_sentence(files):
    """What a library does to its process."""
    program = (
        "import os, signal, sys, tfopt.cli\n"
        "tfopt.cli._command = lambda name, given: os.kill(os.getpid(), getattr(signal, sys.argv.pop()))\n"
        "tfopt.cli.run()"
    )
    for name, words in {"SIGSEGV": "A library crashed (SIGSEGV)", "SIGKILL": "ended by SIGKILL"}.items():
        command = [sys.executable, "-c", program, "inspect", name]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 2 and words in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.slow
def test_demo_keeps_its_promises(tmp_path):
    """The first command that a new user types."""
    result = run_tfopt("demo", "--output_dir", tmp_path / "out")
    assert result.returncode == 0, result.stdout + result.stderr
    names = {"digits.keras", "float.tflite", "int8.tflite", "report.html", "report.json", "report.md"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names

    report = json.loads((tmp_path / "out" / "report.json").read_text())
    rows = {row["name"]: row for row in report["compare"]["rows"]}
    assert rows["int8"]["metric"] >= rows["float"]["metric"] - 0.01
    assert rows["float"]["gzip_bytes"] >= 8 * rows["int8"]["gzip_bytes"]
    assert report["verify"]["passed"]
    assert all(output["within_1"] == 1.0 and output["equal"] >= 0.9 for output in report["verify"]["outputs"])
    assert len(report["verify"]["kernels"]) == 5
    assert all(kernel["sparsity"] >= 0.75 for kernel in report["verify"]["kernels"])
    assert report["export"]["weight_bits"].keys() == {"8"}
    assert not report["export"]["float_operators"]


def test_what_would_be_lost_or_mixed_up_is_refused(files, tmp_path):
    (tmp_path / "other").mkdir()
    for folder in (tmp_path, tmp_path / "other"):
        (folder / "q.tflite").write_bytes((files / "q.tflite").read_bytes())
    both = ["q.tflite", "other/q.tflite"]
    compared = run_tfopt("compare", *both, "--data", files / "samples.npz", cwd=tmp_path)
    assert "2 models" in compared.stdout, compared.stderr
    twice = run_tfopt("compare", "q.tflite", "q.tflite", "--data", files / "samples.npz", cwd=tmp_path)
    assert twice.returncode == 2 and "Got 'q.tflite' twice" in twice.stderr
    before = (files / "q.keras").read_bytes()
    itself = run_tfopt("export", files / "q.keras", files / "q.keras")
    assert itself.returncode == 2 and "must not be the model's own file" in itself.stderr
    assert (files / "q.keras").read_bytes() == before


@pytest.mark.parametrize("name", ["inspect", "--help"])
def test_a_full_or_closed_output_is_no_traceback(files, name):
    command = f"{sys.executable} -m tfopt {name} {files / 'q.tflite'}"
    for out, code, words in [
        ("> /dev/full", 2, f"tfopt {name}: No space left on device: standard output\n"),
        (">&-", 0, ""),
        ("| true", 0, ""),  # the exit code is that of `true`
    ]:
        result = subprocess.run(
            f"{command} {out}", shell=True, stderr=subprocess.PIPE, text=True, env=environment()
        )
        assert (result.returncode, result.stderr) == (code, words)


def test_check_and_bench(files, tmp_path):
    shape = (4, 8)
    keras.Sequential([keras.Input(shape), keras.layers.LSTM(3, name="lstm")]).save(tmp_path / "lstm.keras")
    checked = run_tfopt("check", tmp_path / "lstm.keras", "--target", "tflm", "--json")
    assert checked.returncode in (0, 1), checked.stderr
    assert json.loads(checked.stdout)["layers"][0]["path"].startswith("lstm")
    timed = run_tfopt("bench", files / "q.tflite", "--runs", "60")
    assert timed.returncode == 0 and "60 calls of each file" in timed.stdout, timed.stderr


def test_compress_takes_a_folder_of_images_to_a_verified_file(tmp_path):
    """One line, no Python; as JSON on stdout, with nothing else on it."""
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 1), name="image")
    x = keras.layers.Conv2D(4, 3, activation="relu")(image)
    scores = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(x))
    keras.Model(image, scores, name="net").save(tmp_path / "net.keras")
    for number in range(16):
        path = tmp_path / "photos" / ("dark", "bright")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        keras.utils.save_img(path, np.full((9, 7, 1), 100.0 * (number % 2) + number), scale=False)
    result = run_tfopt(
        "compress", "--model", "net.keras", "--data", "photos", "--target", "tflm", "--json", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    report = json.loads(result.stdout)
    assert report["passed"] and report["recipe"]["target"] == "tflm"
    assert report["path"] == "net-compressed/model.tflite" and (tmp_path / report["path"]).is_file()
    assert "Classes, in their order: bright, dark." in report["notes"]
    page = tmp_path / "net-compressed" / "report.html"
    before = page.read_text()
    assert "0 bright" in before
    page.unlink()
    again = run_tfopt("report", "net-compressed", cwd=tmp_path)
    assert again.returncode == 0 and page.read_text() == before, again.stderr


@pytest.mark.slow
def test_one_technique_alone_and_what_is_in_its_results(files, tmp_path):
    dense = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)])
    dense.save(tmp_path / "m.keras")
    given = ("--data", files / "samples.npz")
    quantized = run_tfopt(
        "quantize", "m.keras", "q.tflite", *given, "--weight_bits", "4", "--report", "q.html", cwd=tmp_path
    )
    assert quantized.returncode == 0, quantized.stderr
    assert "q.tflite: weights of 4 bits" in quantized.stdout and "q.tflite: passed on" in quantized.stdout
    assert all(f'<section id="{name}"' in (tmp_path / "q.html").read_text() for name in ("layers", "parity"))
    shrunk = run_tfopt("shrink", "m.keras", "s.keras", *given, "--channels", "0.5", "--json", cwd=tmp_path)
    assert json.loads(shrunk.stdout)["reports"]["shrink"]["params"] == [131, 67], shrunk.stderr
    drawn = run_tfopt("inspect", "s.keras", "--graph", cwd=tmp_path)
    assert drawn.stdout.count("●") == 3 and drawn.stdout.rstrip().endswith("→"), drawn.stderr
    for arguments, words in [
        (("quantize", "m.keras", "m.keras", *given), "must not be the model's own file"),
        (("quantize", "m.keras", "q.tflite", *given, "--weight_bits", "9"), "weight_bits"),
        (("shrink", "m.keras", "s.keras", *given), "must have one budget of channels"),
    ]:
        result = run_tfopt(*arguments, cwd=tmp_path)
        assert result.returncode == 2 and words in result.stderr and "Traceback" not in result.stderr
