"""Commands and their flags, read from the source: to import all takes TensorFlow, and their flags collide."""

import ast
import dataclasses
from functools import cache
from pathlib import Path

# What `absl.flags` defines a flag with, and what makes one of another module a command's own.
_DEFINES, _DECLARES = "DEFINE_", "declare_key_flag"


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag.

    Attributes:
        name: without dashes.
        is_switch: whether it takes no value.
        values: what it may be, where the source lists that.
    """

    name: str
    is_switch: bool = False
    values: tuple[str, ...] = ()


def commands() -> dict[str, str]:
    """Each command with what it does, by the first line of its module.

    >>> commands()["compare"]
    'accuracy, size, latency and memory.'
    """
    files = sorted(Path(__file__).parent.glob("[!_]*.py"))
    docs = {file.stem: ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "" for file in files}
    return {name: doc.partition("\n")[0].partition(": ")[2] for name, doc in docs.items()}


def flags_of(command: str) -> tuple[Flag, ...]:
    """The flags of a command, by name.

    >>> [flag.name for flag in flags_of("inspect")]
    ['graph', 'json', 'sizes']
    """
    own = _defined(Path(__file__).with_name(f"{command}.py"))
    shared = {name: flag for file in _shared() for name, flag in _defined(file).items() if flag}
    found = {name: flag or shared[name] for name, flag in own.items()}
    return tuple(flag for _, flag in sorted(found.items()))


@cache
def _shared() -> tuple[Path, ...]:
    """Modules that define flags for several commands."""
    return tuple(sorted(Path(__file__).parent.glob("_*.py")))


@cache
def _defined(file: Path) -> dict[str, Flag | None]:
    """The flags that a module defines; None for those that it takes from another one."""
    found: dict[str, Flag | None] = {}
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        function, first = node.func.attr, node.args[0]
        if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
            continue
        if function == _DECLARES:
            found.setdefault(first.value, None)
        elif function.startswith(_DEFINES):
            found[first.value] = Flag(first.value, function == "DEFINE_bool", _values(node))
    return found


def _values(call: ast.Call) -> tuple[str, ...]:
    """The values of an enum."""
    if len(call.args) < 3 or not isinstance(call.args[2], (ast.Tuple, ast.List)):
        return ()
    return tuple(str(one.value) for one in call.args[2].elts if isinstance(one, ast.Constant))
