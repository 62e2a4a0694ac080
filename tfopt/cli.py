"""The `tfopt` program: `tfopt COMMAND [arguments] [--flags]`.

A command is a module of `tfopt.commands` that defines its absl flags and a `main(arguments)`. It imports what it needs:
`--help` and `inspect` need neither Keras nor TensorFlow, and start in a fraction of a second.
"""

import importlib
import os
import sys

# Command -> what it does, in one line.
COMMANDS = {
    "demo": "digits in, a verified int8 .tflite out, in one fit",
    "export": "write a .keras model as .tflite: int8 if quantized, else float32",
    "inspect": "list the operators, grids and weights of a .tflite file",
    "verify": "prove that a .tflite computes what a .keras model computes",
    "pack": "make a .tflite file as small as it gets, for transport",
    "unpack": "give back the .tflite file that was packed",
    "compare": "accuracy, size, latency and memory, side by side",
}


def run() -> None:
    """Entry point of the console script."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("--help", "-h", "help"):
        print(_usage())
        return
    if name not in COMMANDS:
        sys.exit(f"There is no command {name!r}.\n\n{_usage()}")
    # TensorFlow reads its log level when it is loaded, and its start-up messages are of no use to the user of a
    # command.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from absl import app

    command = importlib.import_module(f"tfopt.commands.{name}")

    def main(argv: list[str]) -> int | None:
        try:
            return command.main(argv[1:])
        except (ValueError, TypeError, RuntimeError) as error:
            sys.exit(f"tfopt {name}: {error}")

    app.run(main, argv=[f"tfopt {name}", *sys.argv[2:]])


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        ["usage: tfopt COMMAND [arguments] [--flags]", "", *lines, "", "tfopt COMMAND --help lists flags."]
    )
