"""tfopt bench FILE.tflite ...: latency on this machine, the files in turns."""

from absl import flags

from tfopt.commands._arguments import name_apart, try_files
from tfopt.commands._output import show
from tfopt.runtimes import RUNTIMES, bench

_RUNS = flags.DEFINE_integer("runs", 200, "Calls to time of each file.", lower_bound=60)
_RUNTIME = flags.DEFINE_enum("runtime", "xnnpack", list(RUNTIMES), "The runtime; tflm is TFLite Micro.")
_THREADS = flags.DEFINE_integer("threads", 1, "Threads that one operator may use.", lower_bound=1)
flags.declare_key_flag("json")
flags.declare_key_flag("max_memory")


def main(arguments: list[str]) -> None:
    """Runs the command."""
    if not arguments:
        raise ValueError("Expected at least one FILE.tflite. Got nothing instead.")
    try_files(arguments, [_RUNTIME.value])
    show(bench(name_apart(arguments), _RUNS.value, _RUNTIME.value, _THREADS.value))
