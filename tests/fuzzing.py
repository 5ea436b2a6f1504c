"""Fuzzing by time: 10 s for each kind of reader in the suite, longer by MSFLOW_FUZZ_SECONDS."""

import os
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy, tuples

SECONDS = float(os.environ.get("MSFLOW_FUZZ_SECONDS", "10"))
_AT_ONCE = 100  # examples between two looks at the clock


def fuzz(check: Callable[..., Any], *strategies: SearchStrategy[Any], share: float = 1.0) -> int:
    """Calls ``check`` with examples of the strategies until the time is up.

    Args:
        check: the property; an exception is a failure, shrunk and reported by hypothesis.
        *strategies: one for each argument of ``check``.
        share: share of the time, where several tests fuzz readers of one kind.

    Returns:
        Number of examples tried.
    """
    tried, number, end = 0, 0, time.monotonic() + share * SECONDS

    def counted(values: tuple[Any, ...]) -> None:
        nonlocal tried
        tried += 1
        if time.monotonic() < end:
            check(*values)

    while time.monotonic() < end:
        quiet = settings(
            max_examples=_AT_ONCE, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        seed(number)(quiet(given(tuples(*strategies))(counted)))()
        number += 1
    return tried
