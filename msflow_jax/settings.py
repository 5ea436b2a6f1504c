"""The settings of a configuration: what each means, and which values it takes.

A table ``{"train.ema": Setting("[0, 1)", "what it means"), ...}`` lies beside the defaults that it
describes; :func:`check` refuses what lies outside, :func:`idle` tells what has no effect beside the
others. Nothing here knows a setting.
"""

import ast
import math
import operator
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

COUNT = "[1, inf)"  # one or more
SEED = "[0, 4294967295]"


class Only(NamedTuple):
    """Beside which value of another setting one has an effect.

    Attributes:
        key: dotted key of that other setting; empty: it never has one.
        values: those beside which it has; of a tuple one entry, of text what stands before a colon.
            Empty: any that is not empty, 0 or False.
        but: or, instead, those beside which it has none.
        why: of what never has an effect, the reason; of another what changes all the same.
    """

    key: str = ""
    values: tuple[Any, ...] = ()
    but: tuple[Any, ...] = ()
    why: str = ""

    def holds(self, other: Any) -> bool:
        """Whether a setting has an effect beside this value of the other."""
        if not self.key:
            return False
        given = other if isinstance(other, tuple | list) else (other,)
        found = [v.partition(":")[0] if isinstance(v, str) else v for v in given]
        if self.but:
            return not set(self.but) & set(found)
        return any(v in self.values for v in found) if self.values else bool(other)

    def in_words(self) -> str:
        """When it has one, such as ``for data.loader=grain``; the reason where never."""
        named = " or ".join(map(str, self.but or self.values))
        if not self.key:
            return self.why
        if self.but:
            return f"for any {self.key} but {named}"
        return f"for {self.key}={named}" if named else f"where {self.key} is set"


class Setting(NamedTuple):
    """One key of a configuration.

    Attributes:
        values: what it takes: intervals and single values joined by ``or``, such as ``0 or [8, 512]``,
            ``[0, 1)`` (a round bracket: the end itself is not taken) or ``red or green``; for a tuple
            each entry. Empty: text that is checked where it is used, or a switch.
        meaning: what it is for, in one line.
        only: beside what it has an effect, all of them; none: always.
    """

    values: str
    meaning: str
    only: tuple[Only, ...] = ()

    def takes(self, value: Any) -> bool:
        """Whether a value is one of these; never NaN."""
        if isinstance(value, tuple | list):
            return all(map(self.takes, value))
        return not self.values or any(_within(part, value) for part in self.values.split(" or "))

    def refusal(self, name: str, value: Any) -> str:
        """The message about a value that is none of these.

        Args:
            name: dotted key.
            value: what it was set to.
        """
        parts = self.values.split(" or ")
        if all(part[0] not in "[(" for part in parts):
            return f"unknown {name} {value!r}: choose one of {', '.join(parts)}"
        words = " or ".join(map(_in_words, parts))
        return f"{name} must {words}, got {value}"


Table = Mapping[str, Setting]
ANY = Setting("", "")


def check(table: Table, values: Mapping[str, Any], where: str = "") -> None:
    """Refuses the first value that its setting does not take.

    Args:
        table: settings by dotted key; keys that are not in it are not looked at.
        values: nested values, such as a configuration or a part of one.
        where: dotted key of the part that the values are, such as ``train``.

    Raises:
        ValueError: such a value; it is named with what the setting takes.
    """
    for key, value in leaves(values, f"{where}." if where else ""):
        if key in table and not table[key].takes(value):
            raise ValueError(table[key].refusal(key, value))


def limit(table: Table, limits: Mapping[str, Only | tuple[Only, ...]]) -> dict[str, Setting]:
    """A table whose settings have an effect only so.

    Args:
        table: settings by dotted key.
        limits: by dotted key, or by the beginning of several that ends in a dot; a later one counts
            instead of one before it.
    """
    found = dict(table)
    for start, given in limits.items():
        only = (given,) if isinstance(given, Only) else given
        for key in table:
            if key == start or (start.endswith(".") and key.startswith(start)):
                found[key] = table[key]._replace(only=only)
    return found


def idle(
    table: Table, values: Mapping[str, Any], given: Collection[str], usual: Mapping[str, Any]
) -> list[str]:
    """Of each setting that was given and changes nothing, a line that says so.

    Args:
        table: settings by dotted key.
        values: the whole nested configuration.
        given: dotted keys that the user has set.
        usual: the configuration of defaults: what has its default, or is off, is not named, but a
            switch is that is on by default.
    """
    now, before = dict(leaves(values)), dict(leaves(usual))
    found = []
    for key in now:
        limits = table[key].only if key in given and key in table else ()
        only = next((one for one in limits if not one.holds(now.get(one.key))), None)
        if only is None or not (now[key] or (only.key and now[key] is False)):
            continue
        if only.key and now[key] == before.get(key):
            continue
        changed = f" but that {only.why}" if only.why else ""
        here = f" with {only.key}={now[only.key]!r}{changed}: it has one" if only.key else ":"
        found.append(f"{key}={now[key]!r} has no effect{here} {only.in_words()}")
    return found


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys (``a.b.c``) and values of nested mappings, in their order."""
    for key in tree:
        if isinstance(tree[key], Mapping) or hasattr(tree[key], "keys"):
            yield from leaves(tree[key], f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", tree[key]


def with_tuples(overrides: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    """Overrides ``--config.a.b=v`` in which words of a tuple may be joined by commas, as ``t1w,t2w``.

    Args:
        overrides: as they were given.
        values: nested values that they change.

    Returns:
        The same with such words as Python writes a tuple of them.
    """
    known, found = dict(leaves(values)), []
    for override in overrides:
        name, equals, text = override.partition("=")
        if isinstance(known.get(name.removeprefix("--config.")), tuple) and "," in text:
            try:
                ast.literal_eval(text)
            except (ValueError, SyntaxError):
                words = [word.strip().strip("'\"") for word in text.strip("()[] ").split(",")]
                text = repr(tuple(filter(None, words)))
        found.append(f"{name}{equals}{text}")
    return found


def whole_number(name: str, value: Any, values: str = COUNT) -> int:
    """A whole number that a caller gave, also one of numpy.

    Raises:
        ValueError: none (2.0 and True are none), or not of ``values``, as :class:`Setting` has them.
    """
    try:
        found = operator.index("" if isinstance(value, bool) else value)  # type: ignore[arg-type]
    except TypeError:
        raise ValueError(f"{name} must be a whole number such as 1, got {value!r}") from None
    if not ANY._replace(values=values).takes(found):
        raise ValueError(ANY._replace(values=values).refusal(name, found))
    return found


def like(name: str, value: Any, usual: Any, setting: Setting = ANY) -> Any:
    """A value that a caller gave for a setting, of the type of its usual one (None, a tuple: any).

    Raises:
        ValueError: another type, a number that is not finite, or none that the setting takes.
    """
    if isinstance(usual, int) and not isinstance(usual, bool):
        return whole_number(name, value, setting.values or "(-inf, inf)")
    if isinstance(usual, float):
        try:
            found = math.nan if isinstance(value, str | bool) else float(value)
        except (TypeError, ValueError):
            found = math.nan
        if not math.isfinite(found):
            raise ValueError(f"{name} must be a finite number, got {value!r}")
        value = found
    if isinstance(usual, str) and not isinstance(value, str):
        raise ValueError(f"{name} must be text such as {usual!r}, got {value!r}")
    if not setting.takes(value):
        raise ValueError(setting.refusal(name, value))
    return value


def bounds(part: str) -> tuple[float, float]:
    """Both ends of an interval such as ``[0, 1)``."""
    low, high = part[1:-1].split(", ")
    return float(low), float(high)


def _within(part: str, value: Any) -> bool:
    if part[0] not in "[(":
        return str(value) == part
    if isinstance(value, str | bool):
        return False
    low, high = bounds(part)
    above = low <= value if part[0] == "[" else low < value
    return above and (value <= high if part[-1] == "]" else value < high)


def _in_words(part: str) -> str:
    if part[0] not in "[(":
        return f"be {part}"
    low, high = bounds(part)
    if math.isinf(low) and math.isinf(high):
        return "be finite"
    if math.isinf(high):
        least = part[1:].split(",")[0]
        above = "a positive number" if low == 0 else f"above {least}"
        return f"be at least {least}" if part[0] == "[" else f"be {above}"
    return f"lie in {part}"
