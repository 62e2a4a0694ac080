"""tfopt check MODEL.keras: what a target leaves float or refuses, before any training; exit code 1 if anything."""

from absl import flags

import tfopt
from tfopt.commands._arguments import load_model, take
from tfopt.commands._output import show
from tfopt.kernels import TARGETS

_TARGET = flags.DEFINE_enum("target", "litert", list(TARGETS), "Where the file is to run.")
flags.declare_key_flag("json")
flags.declare_key_flag("max_memory")


def main(arguments: list[str]) -> int:
    """Runs the command."""
    (path,) = take(arguments, "MODEL.keras")
    report = tfopt.check(load_model(path), _TARGET.value)
    show(report)
    return 1 if any(row.done in ("float", "refused") for row in report.layers) else 0
