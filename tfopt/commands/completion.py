"""tfopt completion bash|zsh|fish: a script that completes commands, flags and files in that shell.

For bash: tfopt completion bash > ~/.local/share/bash-completion/completions/tfopt

For zsh, into a folder of $fpath: tfopt completion zsh > _tfopt

For fish: tfopt completion fish > ~/.config/fish/completions/tfopt.fish
"""

from collections.abc import Callable
from typing import TypeAlias

from tfopt.commands._arguments import take
from tfopt.commands._read_commands import Flag, commands, flags_of

# Command -> what it does, and its flags.
Commands: TypeAlias = dict[str, tuple[str, tuple[Flag, ...]]]


def main(arguments: list[str]) -> None:
    """Runs the command."""
    (shell,) = take(arguments, "|".join(SHELLS))
    if shell not in SHELLS:
        raise ValueError(f"The shell must be one of {', '.join(SHELLS)}. Got {shell!r} instead.")
    print(SHELLS[shell]({name: (what, flags_of(name)) for name, what in commands().items()}), end="")


def bash(known: Commands) -> str:
    """The script for bash."""
    cases = "".join(
        f"    {name}) flags={_quoted(' '.join(_spelled(flags)))} ;;\n" for name, (_, flags) in known.items()
    )
    return f"""# Completion of tfopt for bash.
_tfopt() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" flags=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W {_quoted(" ".join(known))} -- "$word"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{cases}  esac
  if [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
  fi
}}
# By default, where there is nothing else: files.
complete -o default -F _tfopt tfopt
"""


def zsh(known: Commands) -> str:
    """The script for zsh."""
    named = "\n".join(
        "    " + _quoted(f"{name}:{what.replace(':', '')}") for name, (what, _) in known.items()
    )
    cases = "".join(
        f"    {name}) compadd -- {' '.join(_spelled(flags))} ;;\n" for name, (_, flags) in known.items()
    )
    return f"""#compdef tfopt
# Completion of tfopt for zsh.
_tfopt() {{
  local -a commands
  commands=(
{named}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  if [[ $PREFIX != -* ]]; then
    _files
    return
  fi
  case $words[2] in
{cases}  esac
}}
# As a file in $fpath it is called itself; else it was sourced.
if [ "$funcstack[1]" = "_tfopt" ]; then
  _tfopt "$@"
else
  compdef _tfopt tfopt
fi
"""


def fish(known: Commands) -> str:
    """The script for fish."""
    lines = ["# Completion of tfopt for fish."]
    for name, (what, flags) in known.items():
        lines.append(f"complete -c tfopt -f -n __fish_use_subcommand -a {name} -d {_quoted(what)}")
        seen = _quoted(f"__fish_seen_subcommand_from {name}")
        for flag in flags:
            takes = (
                "" if flag.is_switch else f" -x -a {_quoted(' '.join(flag.values))}" if flag.values else " -r"
            )
            lines.append(f"complete -c tfopt -n {seen} -l {flag.name}{takes}")
    return "\n".join(lines) + "\n"


def _spelled(flags: tuple[Flag, ...]) -> list[str]:
    """Flags as they are typed; switches both ways."""
    names = [f"--{flag.name}" for flag in flags]
    return names + [f"--no{flag.name}" for flag in flags if flag.is_switch]


def _quoted(text: str) -> str:
    """Text between single quotes, for all three shells."""
    return "'" + text.replace("'", "’") + "'"


SHELLS: dict[str, Callable[[Commands], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
