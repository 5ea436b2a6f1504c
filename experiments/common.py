"""What the commands share: flags, one-line errors, tables."""

import argparse
import csv
import io
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

# ImportError: an optional package that is not there; its message says how to get it.
EXPECTED_ERRORS = (ValueError, OSError, FloatingPointError, ImportError)

RESIZE = (
    "bring images of another size to the model's side, those that are not square as data.fit of the run "
    "says: padded (the default), cropped or stretched"
)


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the flags of every command."""
    out = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return out


def run(main: Callable[[Sequence[str]], Any]) -> None:
    """Run a command: what a user can fix is one line on stderr and exit status 2.

    A training that SIGTERM stopped has saved everything: a line, and exit status 0. Ctrl-C is a line and
    exit status 130.
    """
    from msflow_jax.storage.content import printable

    # One line, without the place in the code that a user does not know.
    warnings.formatwarning = lambda message, *_, **__: f"warning: {printable(str(message))}\n"
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        from msflow_jax.training.endings import Preempted, Stopped  # here: ``--help`` loads no JAX

        if isinstance(error, Preempted):
            print(error, file=sys.stderr)
            sys.exit(error.status)
        if "--debug" in sys.argv or not isinstance(error, (*EXPECTED_ERRORS, Stopped)):
            raise
        message = printable(" ".join(str(error).split()))
        print(f"error: {message} (--debug shows the traceback)", file=sys.stderr)
        sys.exit(2)


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows of the same keys, atomically."""
    from msflow_jax.storage.atomic import write_atomically

    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
