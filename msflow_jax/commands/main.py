"""The command ``msflow``: all others by their names, each of which is imported when it is called."""

import ast
import difflib
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from msflow_jax.commands.common import run
from msflow_jax.storage.places import CONFIGS

_SHARED = (
    "augmented",
    "common",
    "joint",
    "main",
    "numbers",
    "standing",
    "terminal",
)  # modules that are no commands
_USAGE = """usage: msflow COMMAND ...

Flows that classify, draw and translate medical images.

{commands}

msflow COMMAND --help tells its flags. Pages that it names are of the documentation: the folder docs
of the repository, of which `mkdocs build` makes a site.
"""
# Flags are those that a command's help names, asked when they are completed.
_COMPLETION = """_msflow() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" command="${{COMP_WORDS[1]}}" name=""
  # Bash makes words of --config, = and the name; zsh makes one.
  case "$word" in
    =) [ "${{COMP_WORDS[COMP_CWORD-1]}}" = --config ] && name=yes word="" ;;
    --config=*) name=yes word="${{word#--config=}}" ;;
    *) [ "${{COMP_WORDS[COMP_CWORD-2]}}${{COMP_WORDS[COMP_CWORD-1]}}" = --config= ] && name=yes ;;
  esac
  if [ -n "$name" ]; then
    COMPREPLY=($(compgen -W "{configs}" -- "$word") $(compgen -f -- "$word"))
  elif [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{commands} configs completion --help --version" -- "$word"))
  elif [[ "$word" == -* ]]; then
    local flags="$(msflow "$command" --help 2>/dev/null | grep -oE -- '--[a-z-]+')"
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}}
complete -o filenames -F _msflow msflow
"""


def commands() -> Mapping[str, Path]:
    """The modules of the commands by their names."""
    files = sorted(Path(__file__).parent.glob("[a-z]*.py"))
    return {file.stem.replace("_", "-"): file for file in files if file.stem not in _SHARED}


def summary(file: Path) -> str:
    """The first line of a module's docstring; nothing of it is run."""
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.split("\n", 1)[0]


def overview() -> str:
    """The usage, with a line for each command."""
    lines = {name: summary(file) for name, file in commands().items()}
    lines["configs"] = "List the configurations that --config takes by their names."
    lines["completion"] = "Print what a shell needs to complete commands (bash, zsh)."
    width = max(map(len, lines))
    return _USAGE.format(commands="\n".join(f"  {n:{width}}  {line}" for n, line in lines.items()))


def configurations() -> str:
    """The packaged configurations, a line for each."""
    files = sorted(CONFIGS.glob("*.py"))
    if not files:
        raise FileNotFoundError(f"no configurations in {CONFIGS}: install the package again")
    width = max(len(file.stem) for file in files)
    return "\n".join(f"{file.stem:{width}}  {summary(file)}" for file in files)


def completion(shell: str) -> str:
    """A script that completes commands, flags and configurations.

    Raises:
        ValueError: another shell than bash and zsh.
    """
    if shell not in ("bash", "zsh"):
        raise ValueError(f"completion is there for bash and zsh, not for {shell or 'nothing'}")
    names = " ".join(sorted(file.stem for file in CONFIGS.glob("*.py")))
    script = _COMPLETION.format(commands=" ".join(commands()), configs=names)
    return ("autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else "") + script


def main() -> None:
    """The command."""
    from msflow_jax import __version__

    name, *rest = sys.argv[1:] or ["--help"]
    name = name.replace("_", "-") if not name.startswith("-") else name
    known = commands()
    told = {
        **dict.fromkeys(("--help", "-h", "help"), overview),
        **dict.fromkeys(("--version", "-V"), lambda: f"msflow_jax {__version__}"),
        "configs": configurations,
        "completion": lambda: completion(*rest[:1] or [""]),
    }
    if name in told:
        run(lambda arguments: print(told[name]()))
        return
    if name not in known:
        near = difflib.get_close_matches(name, [*known, *told], 1)
        hint = f"did you mean {near[0]}?" if near else "msflow --help lists them"
        print(f"error: unknown command {name!r}: {hint}", file=sys.stderr)
        sys.exit(2)
    sys.argv = [f"msflow {name}", *rest]
    run(import_module(f"msflow_jax.commands.{known[name].stem}").main)
