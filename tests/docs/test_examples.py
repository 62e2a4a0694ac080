"""Every example runs, in less than 100 lines, and prints what it gained."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# Arguments with which an example takes seconds, and what it prints.
ROWS = {
    "anomaly_detection": ("--epochs 2", ["passed", "roc_auc", "points of ROC AUC"]),
    "detection": ("--epochs 1 --samples 80", ["passed", "int8: ", "points of overlap"]),
    "digits_int8": ("--epochs 1", ["passed on 360 samples", "2 models on 360 samples"]),
    "keyword_spotting": ("--epochs 1 --samples 120", ["passed", "frame by frame", "said: "]),
    "packed_for_micro": ("--epochs 1", ["passed", "times smaller", "packed.cc"]),
    "segmentation": ("--epochs 1 --samples 80", ["passed", "overlap", "points of intersection"]),
    "several_gpus": ("--epochs 1 --cpus 2", ["2 replicas", "passed on 360 samples"]),
    "shrink_to_budget": ("--epochs 1 --rounds 1", ["passed", "MACs", "after against before"]),
    "transfer_learning": ("--epochs 1", ["passed on 300 samples", "int8 against float"]),
    "transformer": ("--epochs 1 --blocks 1", ["passed", "small against float"]),
}
# It sets the logical devices, and keys of collective operations start anew with each strategy of a process.
ALONE = {"several_gpus"}
ELSEWHERE = {"multi_worker"}  # by tests/test_multi_worker.py, in two processes


def run(example: Path, arguments: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [str(example), *arguments.split()])
    runpy.run_path(str(example), run_name="__main__")


def test_every_example_is_short_and_in_the_table() -> None:
    assert {path.stem for path in EXAMPLES} == ROWS.keys() | ELSEWHERE
    for example in EXAMPLES:
        text = example.read_text(encoding="utf-8")
        assert len(text.splitlines()) < (100 if example.stem in ROWS else 150)
        assert f"python examples/{example.name}" in text, "the command stands on top"


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_an_example_has_help(name, tmp_path, monkeypatch, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        run(ROOT / "examples" / f"{name}.py", "--help", tmp_path, monkeypatch)
    assert ended.value.code == 0
    assert "--epochs" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_an_example_runs(name, tmp_path, monkeypatch, capsys) -> None:
    arguments, phrases = ROWS[name]
    example = ROOT / "examples" / f"{name}.py"
    if name in ALONE:
        command = [sys.executable, str(example), *arguments.split()]
        printed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    else:
        run(example, arguments, tmp_path, monkeypatch)
        printed = capsys.readouterr().out
    for phrase in phrases:
        assert phrase in printed, printed
