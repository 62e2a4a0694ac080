"""What the shells complete."""

import re
import shutil
import subprocess

import pytest

from tests.program import run_tfopt
from tfopt.cli import COMMANDS
from tfopt.commands._read_commands import commands, flags_of
from tfopt.commands.completion import SHELLS

SCRIPTS = {
    shell: write({name: (what, flags_of(name)) for name, what in commands().items()})
    for shell, write in SHELLS.items()
}
# Words so far, of which the last is being typed -> some that must be offered, and one that must not.
TYPED = {
    ("co",): ({"compress", "compare", "completion"}, "verify"),
    ("compress", "--ta"): ({"--target"}, "--recipe"),
    ("inspect", "--"): ({"--graph", "--nograph", "--json"}, "--model"),
    ("verify", "m"): (set(), "--data"),
}


@pytest.mark.parametrize("words", TYPED, ids=" ".join)
def test_bash_offers_commands_and_flags(words):
    call = f"COMP_WORDS=(tfopt {' '.join(words)}); COMP_CWORD={len(words)}; _tfopt; echo ${{COMPREPLY[@]}}"
    result = subprocess.run(["bash", "-c", f"{SCRIPTS['bash']}\n{call}"], capture_output=True, text=True)
    offered, wanted = set(result.stdout.split()), TYPED[words]
    assert result.stderr == "" and wanted[0] <= offered and wanted[1] not in offered


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_reads_its_script(shell):
    assert set(commands()) == set(COMMANDS) and all(commands().values())
    assert all(name in SCRIPTS[shell] for name in COMMANDS)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    result = subprocess.run([shell, "-n"], input=SCRIPTS[shell], capture_output=True, text=True)
    assert result.returncode == 0 and result.stderr == ""


def test_values_of_flags_are_known():
    flags = {flag.name: flag for flag in flags_of("compress")}
    assert flags["quantize"].values == ("int8", "int16", "none") and flags["json"].is_switch
    assert "-l quantize -x -a 'int8 int16 none'" in SCRIPTS["fish"]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["compress", "quantize", "export", "inspect", "bench"])
def test_they_are_the_flags_that_help_lists(command):
    listed = re.findall(r"^  --(\[no\])?(\w+)", run_tfopt(command, "--help").stdout, re.M)
    assert sorted(listed) == sorted(("[no]" * flag.is_switch, flag.name) for flag in flags_of(command))


@pytest.mark.slow
def test_the_command_prints_the_script():
    assert run_tfopt("completion", "fish").stdout == SCRIPTS["fish"]
    wrong = run_tfopt("completion", "csh")
    assert wrong.returncode == 2 and "one of bash, zsh, fish. Got 'csh'" in wrong.stderr
