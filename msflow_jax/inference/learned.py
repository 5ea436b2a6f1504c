"""Whether what an evaluation.json says that was learned is of the types that it was written in."""

import math
from collections.abc import Mapping
from typing import Any


def check_types(settings: Mapping[str, Any], configured: Mapping[str, Any]) -> None:
    """Raises a TypeError for a setting that is of another type than the configured one."""
    for key, value in settings.items():
        if key in configured and type(value) is not type(configured[key]):
            raise TypeError(f"classify.{key} is {value!r}")


def check_thresholds(table: Mapping[str, Any]) -> None:
    """Raises a TypeError for thresholds that are no lists of numbers, one for each coverage."""
    coverage = table.get("coverage", [])
    for name, values in table.items():
        whole = isinstance(values, list) and values and all(map(is_number, values))
        if not whole or len(values) != len(coverage):
            raise TypeError(f"the thresholds {name!r} are no numbers, one for each coverage")
    if coverage != sorted(set(coverage)):
        raise TypeError("the coverages do not rise")


def check_conformal(found: Mapping[str, Any]) -> None:
    """Raises a TypeError for scores of calibration cases that are no numbers, class by class."""
    if not found:
        return
    if not isinstance(found.get("chose"), bool):
        raise TypeError("conformal.chose is neither true nor false")
    for name, classes in as_object(found.get("scores"), "conformal.scores").items():
        lists = isinstance(classes, list) and all(isinstance(one, list) for one in classes)
        if not lists or not all(is_number(score) for one in classes for score in one):
            raise TypeError(f"the scores {name!r} are no numbers, class by class")


def check_reference(found: Mapping[str, Any]) -> None:
    """Raises a TypeError for what tells images from outside, where it is not as it was written."""
    if not found:
        return
    centre, width = (as_object(found.get(key), f"outside.{key}") for key in ("centre", "width"))
    scores, signed = found.get("scores"), found.get("signed")
    lists = isinstance(scores, list) and isinstance(signed, list)
    numbers = [*centre.values(), *width.values(), *(scores or [])]
    if not lists or set(centre) != set(width) or not all(map(is_number, numbers)):
        raise TypeError("outside holds no numbers for each measure")


def as_object(value: Any, name: str) -> dict[str, Any]:
    """The value itself; a TypeError that names it where it is no object."""
    if not isinstance(value, dict):
        raise TypeError(f"{name} is no object")
    return value


def is_number(value: Any) -> bool:
    """Whether it is a finite number, which a truth value is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
