"""tfopt inspect FILE.tflite: its operators, grids and weights."""

from absl import flags

from tfopt.commands._arguments import show, take
from tfopt.runtimes import inspect

flags.declare_key_flag("json")


def main(arguments: list[str]) -> None:
    """Runs the command."""
    (path,) = take(arguments, "FILE.tflite")
    show(inspect(path))
