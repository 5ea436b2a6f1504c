"""Numbers on the command line: each flag says which it takes; others are refused at once."""

import argparse
from typing import Any

from msflow_jax.settings import COUNT, Setting


class _Within(argparse.Action):
    """Keeps a number, or several, that the flag takes."""

    def __init__(self, *args: Any, values: str, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.takes = Setting(values, "")

    def __call__(self, flags: Any, found: Any, given: Any, option: str | None = None) -> None:
        for number in given if isinstance(given, list) else [given]:
            if not self.takes.takes(number):
                raise ValueError(self.takes.refusal(str(option), number))
        setattr(found, self.dest, given)


def whole(values: str = COUNT) -> dict[str, Any]:
    """What ``add_argument`` is told of a flag of whole numbers.

    Args:
        values: those that it takes, as of :class:`msflow_jax.settings.Setting`, such as ``[0, inf)``;
            one or more where nothing is said.
    """
    return {"type": int, "action": _Within, "values": values}


def fraction(values: str) -> dict[str, Any]:
    """What ``add_argument`` is told of a flag of real numbers; ``values`` as of :func:`whole`."""
    return {"type": float, "action": _Within, "values": values}
