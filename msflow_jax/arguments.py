"""Settings, counts and seeds that a caller gives in Python: of which type, and in which range."""

import math
import operator
from typing import Any

from msflow_jax.settings import COUNT, Setting


def whole_number(name: str, value: Any, values: str = COUNT) -> int:
    """A whole number that a caller gave, also one of numpy.

    Args:
        name: what it is called in errors.
        value: the number.
        values: those that may be given, as of :class:`Setting`.

    Raises:
        ValueError: no whole number (2.0 and True are none), or one that may not be given.
    """
    try:
        found = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        found = None
    if found is None:
        raise ValueError(f"{name} must be a whole number such as 1, got {value!r}")
    if not Setting(values, "").takes(found):
        raise ValueError(Setting(values, "").refusal(name, found))
    return found


def like(name: str, value: Any, usual: Any, setting: Setting | None = None) -> Any:
    """A value that a caller gave for a setting, of the type of its usual one.

    Args:
        name: what the setting is called in errors.
        value: the value.
        usual: its usual value; neither None nor a tuple says of which type it is.
        setting: what it takes; None: anything finite.

    Raises:
        ValueError: another type, a number that is not finite, or none that the setting takes.
    """
    if isinstance(usual, int) and not isinstance(usual, bool):
        value = whole_number(name, value, (setting and setting.values) or "(-inf, inf)")
    elif isinstance(usual, float):
        try:
            found = None if isinstance(value, str | bool) else float(value)
        except (TypeError, ValueError):
            found = None
        if found is None or not math.isfinite(found):
            raise ValueError(f"{name} must be a finite number, got {value!r}")
        value = found
    elif isinstance(usual, str) and not isinstance(value, str):
        raise ValueError(f"{name} must be text such as {usual!r}, got {value!r}")
    if setting and not setting.takes(value):
        raise ValueError(setting.refusal(name, value))
    return value
