"""tfopt inspect FILE.tflite: its operators, grids and weights."""

from tfopt.commands._arguments import take
from tfopt.commands._sizes import print_sizes
from tfopt.runtimes import inspect


def main(arguments: list[str]) -> None:
    """Runs the command."""
    (path,) = take(arguments, "FILE.tflite")
    print(inspect(path))
    print_sizes([path])
