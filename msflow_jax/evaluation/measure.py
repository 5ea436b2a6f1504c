"""One line of the table of measures: definition, range, direction, source."""

from typing import NamedTuple

MORE, LESS, NEITHER = "more is better", "less is better", "-"
ODD = "more is of another kind"
SHARE = "0 to 1"
CHANCE = "0 to 1, chance 0.5"


class Measure(NamedTuple):
    """One measure.

    Attributes:
        definition: formula in words or ASCII; N images, K classes, p_k the probability of class k.
        values: range, with the unit where there is one.
        direction: which end is better.
        source: where it was defined, or whose convention it is.
    """

    definition: str
    values: str
    direction: str
    source: str = ""
