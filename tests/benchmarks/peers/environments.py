"""The environments of the contenders: virtual ones, made by pip where this one does not have what they need."""

import dataclasses
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[3]


@dataclasses.dataclass(frozen=True)
class Contender:
    """Who takes part.

    Attributes:
        title: its name in the tables.
        module: its methods, of `contenders`.
        keras: the Keras that it works with, as it is imported; "-" for none.
        requirements: what pip installs into an environment of its own; none: it runs in this one.
        variables: of the process.
        networks: those that it has, of `networks`; all if empty.
    """

    title: str
    module: str
    keras: str
    requirements: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    networks: tuple[str, ...] = ()


CONTENDERS = (
    Contender("tfopt", "ours", "keras"),
    Contender("TFLite converter", "converter", "keras"),
    Contender("Keras", "keras_own", "keras"),
    Contender("tfmot", "tfmot", "tf_keras", variables=(("TF_USE_LEGACY_KERAS", "1"),)),
    Contender(
        "ai-edge-quantizer", "quantizer", "-", ("ai-edge-quantizer>=0.10", "ai-edge-litert>=2.1", "absl-py")
    ),
    Contender(
        "Sony MCT",
        "mct",
        "tensorflow.keras",
        ("tensorflow==2.15.1", "model-compression-toolkit==2.6.1", "setuptools<81"),
    ),
    Contender(
        "PyTorch",
        "pytorch",
        "-",
        ("torch", "torch-pruning", "torchao", "litert-torch", "absl-py"),
        networks=("ds_cnn", "resnet8"),
    ),
)


def methods_of(contender: Contender) -> list[str]:
    """The names in its table, which are read without importing what it needs."""
    import ast

    tree = ast.parse((ROOT / "tests/benchmarks/peers/contenders" / f"{contender.module}.py").read_text())
    (table,) = (node.value for node in tree.body if isinstance(node, ast.AnnAssign))
    assert isinstance(table, ast.Dict)
    return [ast.literal_eval(key) for key in table.keys if key is not None]


def interpreter(contender: Contender, folder: Path) -> str:
    """The Python of a contender; its environment is made, and made anew where an earlier run was interrupted."""
    if not contender.requirements:
        return sys.executable
    place = folder / contender.module
    python, done = place / "bin" / "python", place / "done"
    if not done.exists():
        print(f"Making the environment of {contender.title} ...", flush=True)
        venv.create(place, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *contender.requirements], check=True)
        done.touch()
    return str(python)


def run_program(
    contender: Contender, program: str, arguments: list[str], out: Path, environments: Path, timeout: float
) -> None:
    """Run a program of this package in a contender's environment; what it prints goes to `log.txt` in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    command = [interpreter(contender, environments), "-m", f"tests.benchmarks.peers.{program}"]
    command += [contender.module, contender.keras, *arguments]
    variables = {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", **dict(contender.variables)}
    with open(out / "log.txt", "w") as log:
        try:
            subprocess.run(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | variables,
                cwd=ROOT,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            log.write(f"\nTimeoutError: more than {timeout:.0f} seconds\n")
