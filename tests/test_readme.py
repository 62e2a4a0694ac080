"""README is true: its program runs, and prints what README says, but for figures that no two machines share."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.S)


def without_figures(text: str) -> list[str]:
    """Words only: numbers, units and signs differ from machine to machine."""
    text = re.sub(r"[-+]?\d[\d.,]*(%| %)?", "#", text)
    text = re.sub(r"# ([kM]?B|ms)\b", "#", text)
    return [word for line in text.splitlines() for word in line.split()]


def test_the_two_commands_stand_there():
    commands = [block.strip() for language, block in BLOCKS if language == "bash"]
    assert commands == ["pip install -e '.[examples]' && tfopt demo", "pip install -e '.[test]' && pytest"]


@pytest.mark.slow
def test_the_program_prints_what_readme_says(tmp_path):
    programs = [block for language, block in BLOCKS if language == "python"]
    printed = [block for language, block in BLOCKS if language == "text"]
    result = subprocess.run(
        [sys.executable, "-c", "\n".join(programs)], capture_output=True, text=True, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert without_figures(result.stdout) == without_figures("".join(printed[1:]))


@pytest.mark.slow
def test_the_example_runs(tmp_path):
    example = Path(__file__).parent.parent / "examples" / "digits_int8.py"
    assert len(example.read_text().splitlines()) < 100
    result = subprocess.run([sys.executable, example], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "passed on 360 samples" in result.stdout
