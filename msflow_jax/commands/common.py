"""What the commands share: flags and one-line errors."""

import argparse
import errno
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from msflow_jax.commands.numbers import fraction
from msflow_jax.commands.terminal import guarded_streams
from msflow_jax.storage.content import Note, OfArrays, printable
from msflow_jax.storage.interruption import INTERRUPTED, Interruption
from msflow_jax.storage.places import expand, split_archive

_NO_CSV = (".tsv", ".xlsx", ".xls", ".ods", ".json", ".jsonl")  # tables that a CSV is not
# ImportError: an optional package that is not there; its message says how to get it.
EXPECTED_ERRORS = (ValueError, OSError, FloatingPointError, ImportError)


class Parser(argparse.ArgumentParser):
    """Names nothing in a message that would command a terminal."""

    def error(self, message: str) -> NoReturn:
        """Usage and message on stderr, exit status 2."""
        super().error(printable(message))

    def refuse_without(self, given: argparse.Namespace, needed: str, *names: str) -> None:
        """An error for flags that mean nothing without another one, and would be ignored."""
        for name in self._set(given, names):
            if not getattr(given, needed):
                self.error(f"--{name} is for --{needed}: give both or neither")

    def refuse_beside(self, given: argparse.Namespace, what: str, *allowed: str) -> None:
        """An error for flags beside those that are allowed, which would be ignored."""
        for name in self._set(given, [name for name in vars(given) if name not in allowed]):
            self.error(f"--{name} says nothing to {what}: leave it out")

    def check_settings(self, rest: Sequence[str], part: str = "--config.", more: str = "") -> None:
        """An error for what is neither a flag nor a setting ``--config.a.b=v``; says what was meant."""
        for before, text in zip(["", *rest], rest, strict=False):
            if text.startswith(part):
                continue
            dotted = re.match(r"\W*(?:config\.)?([a-z]+\.[\w.]+=.*)", text, re.DOTALL)
            meant = f"--config.{dotted[1]}" if dotted else ""
            if before.startswith(part) and "=" not in before and not text.startswith("-"):
                meant = f"{before}={text}"
            wanted = meant.startswith(part) and meant != text
            hint = f": settings are written with two hyphens and =, {meant}" if wanted else ""
            self.error(f"unknown argument {text}{hint}{more}")

    def _set(self, given: argparse.Namespace, names: Iterable[str]) -> list[str]:
        """As they are typed, those of the flags that have another value than by default."""
        found = [name for name in names if getattr(given, name) != self.get_default(name)]
        return [name.replace("_", "-") for name in found]


def parser(description: str) -> Parser:
    """A parser with the flags of every command."""
    out = Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    out.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return out


def add_overwrite(flags: argparse.ArgumentParser, what: str) -> None:
    """The flag by which what another program, or the user, wrote may be replaced."""
    flags.add_argument("--overwrite", action="store_true", help=f"replace {what}")


def add_format(flags: argparse.ArgumentParser) -> None:
    """The flag that chooses the format of drawn images."""
    flags.add_argument(
        "--format", default="", choices=("png", "nifti", "dicom"),
        help="of the files (default: png of pictures, nifti of volumes)",
    )  # fmt: skip


def add_resize(flags: argparse.ArgumentParser) -> None:
    """The flag that says what becomes of images of another size than the model's."""
    words = "bring images of another size to the model's (default: pictures, where training did so)"
    flags.add_argument("--resize", action=argparse.BooleanOptionalAction, help=words)


def add_slices(flags: argparse.ArgumentParser) -> None:
    """The flags that say which slices of volumes are taken."""
    flags.add_argument("--axis", default="axial", choices=("axial", "coronal", "sagittal"))
    flags.add_argument(
        "--first", **fraction("[0, 1)"), default=0.0, help="slices from this share of the axis"
    )
    flags.add_argument(
        "--last", **fraction("(0, 1]"), default=1.0, help="slices up to this share of the axis"
    )
    flags.add_argument(
        "--gap", **fraction("[0, inf)"), default=0.0, help="mm between slices; 0: every one"
    )


def add_distributed(flags: argparse.ArgumentParser) -> None:
    """The flag by which several processes do one job."""
    flags.add_argument(
        "--distributed", metavar="auto|HOST:PORT,INDEX,COUNT",
        help="share the work with other processes that are given the same command: found by the "
        "cluster, or through this coordinator; the first one writes",
    )  # fmt: skip


def add_key(flags: argparse.ArgumentParser) -> None:
    """The flag by which one of several networks in a file of weights is chosen."""
    words = "where the weights lie in the file, if it holds several (such as ema)"
    flags.add_argument("--key", default="", help=words)


class NoPath(argparse.ArgumentTypeError, ValueError):
    """A path of nothing, such as that of a variable that is not set: it would be the current folder."""


def named(text: str) -> str:
    """What is read, as it is typed: a path, or one of several forms that hold one.

    Raises:
        NoPath: it is empty.
    """
    if not text:
        raise NoPath("the path is empty: name a file or a folder, or write . for this folder")
    return text


def path(text: str) -> Path:
    """A path from the command line, with ``~`` looked up.

    Raises:
        NoPath: it is empty.
        FileNotFoundError: there is no such home folder.
    """
    return expand(named(text))


def file_path(text: str) -> Path:
    """The path of a file to write, with ``~`` looked up.

    Raises:
        argparse.ArgumentTypeError: it ends as the path of a folder does.
    """
    if text.endswith(("/", os.sep)):
        raise argparse.ArgumentTypeError(f"{text} names a folder: name a file")
    return path(text)


def require_csv(output: Path) -> None:
    """Raises a ValueError for a table to write whose name ends as a file of another kind does."""
    if output.suffix.lower() in _NO_CSV:
        raise ValueError(f"--output={output}: what is written is a CSV: let its name end in .csv")


def start(distributed: str | None = None) -> None:
    """Loads what takes long, with a line on it, and starts JAX, with other processes if asked for."""
    from msflow_jax.progress import doing

    with doing("starting"):
        from msflow_jax.parallel.startup import start_jax

        start_jax(distributed=distributed)
        import msflow_jax.workdir  # noqa: F401


def source_path(images: str) -> Path:
    """The file or folder that ``--images`` names, without the split of an ``.npz``.

    Raises:
        NoPath: it names nothing.
    """
    archive = split_archive(named(images))
    return archive[0] if archive else expand(images)


def run(main: Callable[[Sequence[str]], Any]) -> None:
    """Run a command: what a user can fix is one line on stderr and exit status 2.

    A training that SIGTERM stopped has saved everything: a line, and exit status 0. Ctrl-C is a line and
    exit status 130.
    """
    # One line, without the place in the code that a user does not know.
    warnings.formatwarning = _as_line
    # Training and its evaluation read the same data: what is said of them is said once.
    warnings.filterwarnings("once", category=UserWarning, append=True)
    warnings.filterwarnings("ignore", category=OfArrays)
    with guarded_streams(), Interruption(allowed=0):
        status = _status(main)
    if status:
        sys.exit(status)


def _as_line(message: Any, category: type[Warning], *_: Any, **__: Any) -> str:
    return f"{'' if issubclass(category, Note) else 'warning: '}{one_line(message)}\n"


def _status(main: Callable[[Sequence[str]], Any]) -> int:
    try:
        main(sys.argv[1:])
        print(end="", flush=True)
    except KeyboardInterrupt as stop:
        print(one_line(stop) or "stopped by Ctrl-C", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        # Where it is not loaded, it has raised nothing, and an early error need not wait for JAX.
        endings: Any = sys.modules.get("msflow_jax.training.endings")
        if endings and isinstance(error, endings.Preempted):
            print(one_line(error), file=sys.stderr)
            return error.status
        memory: Any = sys.modules.get("msflow_jax.training.memory")
        if "--debug" not in sys.argv and memory and memory.is_out_of_memory(error):
            error = memory.out_of_memory(error)
        expected = (*EXPECTED_ERRORS, *((endings.Stopped,) if endings else ()))
        if "--debug" in sys.argv or not isinstance(error, expected):
            raise
        more = "" if _is_plain(error) else " (--debug shows the traceback)"
        print(f"error: {one_line(describe(error))}{more}", file=sys.stderr)
        return 2
    return 0


def _is_plain(error: Exception) -> bool:
    """Whether the words are this package's, or the system's on a file: they say all that helps.

    A library's may be of a fault in here.
    """
    if not isinstance(error, ValueError | OSError | ImportError):
        return False
    if isinstance(error, OSError) and error.filename is not None:
        return True
    *_, last = [None, *traceback.walk_tb(error.__traceback__)]
    return last is not None and last[0].f_globals.get("__name__", "").startswith("msflow_jax.")


def describe(error: Exception) -> str:
    """What an error says; one of the system by its file first, without its number."""
    if not isinstance(error, OSError) or error.filename is None:
        return str(error)
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    remedy = ": make room, or name another place" if full else ""
    return f"{error.filename}: {error.strerror}{remedy}"


def one_line(message: Any) -> str:
    """A message on one line, without characters that would command a terminal."""
    return printable(" ".join(str(message).split()))
