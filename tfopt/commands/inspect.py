"""tfopt inspect FILE.tflite: its operators, grids and weights."""

from absl import flags

from tfopt.commands._arguments import take
from tfopt.commands._output import show
from tfopt.runtimes import inspect

flags.declare_key_flag("json")
flags.declare_key_flag("sizes")


def main(arguments: list[str]) -> None:
    """Runs the command."""
    (path,) = take(arguments, "FILE.tflite")
    show(inspect(path), [path])
