"""The `tfopt` program: `tfopt COMMAND [arguments] [--flags]`.

A command is a module of `tfopt.commands` that defines its absl flags and a `main(arguments)`. It imports what it needs:
`--help` and `inspect` need neither Keras nor TensorFlow, and start in a fraction of a second.
"""

import importlib
import logging
import os
import re
import signal
import sys
from types import ModuleType

from tfopt.commands._errors import is_known, sentence
from tfopt.commands._process import go_on_apart
from tfopt.commands._streams import close_output, open_streams

# Command -> what it does, in one line.
COMMANDS = {
    "demo": "digits in, a verified int8 .tflite out, in one fit",
    "compress": "a model and data in, a verified .tflite out, by flags or a recipe",
    "quantize": "a model to integers, without training, as .tflite or .keras",
    "shrink": "channels of a model removed, without training",
    "report": "write the page about a result of compress again",
    "recipes": "list the recipes of compress, or show one",
    "export": "write a .keras model as .tflite: int8 if quantized, else float32",
    "inspect": "what is in a .tflite file, a .keras file or a SavedModel",
    "verify": "prove that a .tflite computes what a .keras model computes",
    "pack": "make a .tflite file as small as it gets, for transport",
    "unpack": "give back the .tflite file that was packed",
    "compare": "accuracy, size, latency and memory, side by side",
    "check": "what a target leaves float or refuses, before any training",
    "bench": "latency of .tflite files, in turns",
    "completion": "a script that completes commands and flags in a shell",
}

_HELP = {"--help", "-h", "-help"}
# Exit codes beside 0: something that was to be shown does not hold; what was asked cannot be done; Ctrl-C.
DOES_NOT_HOLD, CANNOT, INTERRUPTED = 1, 2, 130


def run() -> None:
    """Entry point of the console script."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    try:
        open_streams()
        if name in COMMANDS and not _HELP & set(sys.argv[2:]):
            go_on_apart(name)
        code = _usage() if name in ("--help", "-h", "help") else _command(name, sys.argv[2:])
        failed = close_output()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done, and libraries may take a while to end
    except KeyboardInterrupt:
        print(f"\ntfopt {name}: interrupted", file=sys.stderr)
        sys.stderr.flush()
        os._exit(INTERRUPTED)  # the threads of libraries are not waited for, nor do they say anything
    except OSError as error:  # nobody reads the output, or it has no room
        code, failed = 0, close_output() or error
    if failed is not None and code != CANNOT and not isinstance(failed, BrokenPipeError):
        print(f"tfopt {name}: {sentence(failed)}: standard output", file=sys.stderr)
    sys.exit(CANNOT if failed is not None else code)


def _command(name: str, given: list[str]) -> int:
    if name not in COMMANDS:
        print(f"There is no command {name!r}.\n\n{_commands()}", file=sys.stderr)
        return CANNOT
    if "TF_CPP_MIN_LOG_LEVEL" not in os.environ:
        _silence_libraries()
    from absl import flags

    command = importlib.import_module(f"tfopt.commands.{name}")
    if _HELP & set(given):
        print(_help(command))
        return 0
    try:
        arguments = flags.FLAGS([f"tfopt {name}", *given])[1:]
        return int(command.main(arguments) or 0)
    except flags.Error as error:
        print(f"tfopt {name}: {_flag_error(error)} tfopt {name} --help lists the flags.", file=sys.stderr)
    except BrokenPipeError:
        raise
    except Exception as error:
        if not is_known(error):
            raise
        print(f"tfopt {name}: {sentence(error)}", file=sys.stderr)
    return CANNOT


def _silence_libraries() -> None:
    """Leaves standard error to Python: TensorFlow's start-up messages are of no use to the user of a command.

    Some come before TensorFlow reads its log level. Who sets that level wants to see them.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    sys.stderr.flush()
    own = os.dup(2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.stderr = os.fdopen(own, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")


def _flag_error(error: Exception) -> str:
    missing = re.match(r"flag --(\w+)=None: ", str(error))
    return f"The flag --{missing[1]} is missing." if missing else f"{error}".rstrip(".") + "."


def _usage() -> int:
    print(_commands())
    return 0


def _commands() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        ["usage: tfopt COMMAND [arguments] [--flags]", "", *lines, "", "tfopt COMMAND --help lists flags."]
    )


def _help(command: ModuleType) -> str:
    """A command's own words and its flags, in 80 columns."""
    import textwrap

    from absl import flags

    blocks = [textwrap.fill(part, 80) for part in (command.__doc__ or "").strip().split("\n\n")]
    for flag in flags.FLAGS.get_key_flags_for_module(command):
        values = getattr(flag.parser, "enum_values", None)
        kind = "|".join(values) if values else flag.flag_type()
        name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name} <{kind}>"
        default = f" (default: {flag.default_as_str})" if flag.default else ""
        # absl puts the values of an enum before, and what several values mean behind.
        text = flag.help.removeprefix(f"<{kind}>: ").split(";\n")[0]
        blocks.append(f"  {name}\n" + textwrap.indent(textwrap.fill(f"{text}{default}", 72), " " * 6))
    return "\n\n".join(blocks)
