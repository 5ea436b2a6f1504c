"""The page docs/reference/commands.md: every flag, as the parsers of the commands have it."""

import argparse
import importlib
from typing import Any

from reference_tables import MADE, table

from msflow_jax.commands.main import commands as known_commands


class Shown(Exception):
    """Carries a parser out of a command that was about to parse."""


def parser_of(main: Any) -> argparse.ArgumentParser:
    """The parser of a command, without running it."""
    kept, found = argparse.ArgumentParser.parse_known_args, []

    def show(self: Any, *_: Any, **__: Any) -> Any:
        found.append(self)
        raise Shown

    argparse.ArgumentParser.parse_known_args = show  # type: ignore[method-assign]
    try:
        main(["--help"])
    except Shown:
        pass
    finally:
        argparse.ArgumentParser.parse_known_args = kept  # type: ignore[method-assign]
    return found[0]


def flag_rows(made: argparse.ArgumentParser) -> list[tuple[str, ...]]:
    """Rows of a command's arguments."""
    rows = []
    for action in made._actions:
        if action.dest in ("help", "debug"):
            continue
        name = " ".join(action.option_strings) or str(action.metavar or action.dest)
        if action.choices:
            takes = ", ".join(map(str, action.choices))
        elif action.nargs == 0:
            takes = "(a switch)"
        else:
            takes = getattr(action.type, "__name__", "") or "text"
            takes = {
                "str": "text",
                "named": "text",
                "Path": "path",
                "int": "integer",
                "float": "number",
            }.get(takes, takes)
            if hasattr(action, "takes") and action.takes.values != "(-inf, inf)":
                takes += f", {action.takes.values}"
        plain = any(action.default is unset for unset in (None, False, argparse.SUPPRESS))
        default = "" if plain or action.default == "" else f"`{action.default}`"
        needed = "needed" if action.required else default
        rows.append((f"`{name}`", takes, needed, action.help or ""))
    return rows


def commands() -> str:
    """Every flag of every command."""
    text = ["# Every command and its flags\n", MADE]
    text += [
        "All take `--help`, and `--debug` to show the traceback of an error. "
        "`python -m experiments.NAME` and, of converters and packers, "
        "`python tools/NAME.py` are the same.\n"
    ]
    for name, file in known_commands().items():
        made = parser_of(importlib.import_module(f"msflow_jax.commands.{file.stem}").main)
        words = (made.description or "").split("\n\n")[0]
        rows = flag_rows(made)
        text += [f"## `msflow {name}`\n", " ".join(words.split()) + "\n"]
        text += [table(("flag", "takes", "default", "meaning"), rows)]
    return "\n".join(text)
