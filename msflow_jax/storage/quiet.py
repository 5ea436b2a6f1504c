"""What orbax and tensorstore tell of a failure, many times over; it is told once by its report."""

import sys
from collections.abc import Callable
from typing import Any


def quiet() -> Callable[[], None]:
    """Callbacks of what failed do not print that their event loop is closed, until this is called."""
    before = sys.unraisablehook

    def hook(told: Any) -> None:
        if not (
            isinstance(told.exc_value, RuntimeError) and "loop is closed" in str(told.exc_value)
        ):
            before(told)

    def restore() -> None:
        sys.unraisablehook = before

    sys.unraisablehook = hook
    return restore
