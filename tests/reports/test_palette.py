"""Lines of a chart are told apart by colour in both themes, by colour-blind readers, and by dashes."""

import re
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from msflow_jax.reports import drawing
from msflow_jax.reports.svg import SERIES

STYLE = (Path(drawing.__file__).parent / "templates" / "style.css").read_text()
# Machado et al. 2009: linear RGB as deuteranopes see it.
DEUTERANOPIA = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])


def linear(colour):
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = (np.array(matrix) @ np.clip(rgb, 0, 1)) / [0.9505, 1, 1.089]
    f = [v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def theme(number):
    found = re.findall(r"--series-(\d): (#\w{6})", STYLE)
    count = len(SERIES)
    assert len(found) == 2 * count
    return [colour for _, colour in found[number * count : (number + 1) * count]]


@pytest.mark.parametrize("number", [0, 1], ids=["light", "dark"])
def test_eight_colours_lie_apart(number):
    colours = theme(number)
    for a, b in combinations(colours, 2):
        assert np.linalg.norm(lab(linear(a)) - lab(linear(b))) > 25, (a, b)
    for a, b in zip(
        colours, colours[1:] + colours[:1], strict=True
    ):  # neighbours, by eye and number
        gap = lab(DEUTERANOPIA @ linear(a)) - lab(DEUTERANOPIA @ linear(b))
        assert np.linalg.norm(gap) > 10, (a, b)


def test_no_two_of_forty_lines_are_alike_and_neighbours_differ_in_both():
    lines = [drawing.line(i) for i in range(40)]
    assert len({(one["color"], str(one["linestyle"])) for one in lines}) == 40
    for a, b in pairwise(lines):
        assert a["color"] != b["color"] and a["linestyle"] != b["linestyle"]
    assert all(one["linestyle"] != ":" for one in lines)  # that of the reference line
