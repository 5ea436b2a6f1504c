"""What orbax and tensorstore tell of a failed save, many times over; it is told once by its report."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet() -> Iterator[None]:
    """Within it, callbacks of a save that failed do not print that their event loop is closed."""
    before = sys.unraisablehook

    def hook(told: Any) -> None:
        if not (
            isinstance(told.exc_value, RuntimeError) and "loop is closed" in str(told.exc_value)
        ):
            before(told)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
