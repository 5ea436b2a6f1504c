"""Pictures and charts: valid PNGs of the right size, pixels untouched, no global state."""

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from msflow_jax.reports import charts, figures

PNG = b"\x89PNG\r\n\x1a\n"


def pixels(png):
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(png))
    return np.asarray(image)


def images(n, side=6, channels=3):
    return np.random.default_rng(n).integers(0, 256, (n, side, side, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_strip_keeps_every_pixel(channels):
    given = images(5, channels=channels)
    sheet = pixels(figures.strip(given, per_row=3, gap=0.2))
    assert sheet.shape == (2 * 6 + 1, 3 * 6 + 2, 4)
    np.testing.assert_array_equal(sheet[7:13, 7:13, :3], np.broadcast_to(given[4], (6, 6, 3)))
    assert (sheet[:6, 6] == 0).all() and (sheet[7:, 14:, 3] == 0).all()


def test_thumbnails_bound_the_side_and_keep_small_images():
    assert figures.thumbnails(images(2)).shape == (2, 6, 6, 3)
    large = np.full((2, 300, 150, 1), 9, np.uint8)
    small = figures.thumbnails(large, limit=100)
    assert small.shape == (2, 100, 50, 3) and (small == 9).all()


def test_image_grid_and_save(tmp_path):
    names = ["normal", "$x_1$ <b>a very long class name indeed</b>"]
    png = figures.image_grid(images(5), np.array([0, 1, 0, 1, 1]), names, per_row=3)
    assert png.startswith(PNG)
    height, width = pixels(png).shape[:2]
    assert width > height
    path = figures.save_grid(tmp_path / "new" / "grid.png", images(2, channels=1), [0, 1], names)
    assert path.read_bytes().startswith(PNG)
    assert [p.name for p in path.parent.iterdir()] == ["grid.png"]


@pytest.mark.parametrize(
    ("given", "labels", "message"),
    [
        (images(2), [0, 5], "0..1"),
        (images(2), [0], "one label"),
        (images(2) / 255, [0, 1], "uint8"),
        (images(2)[:0], [], "one label"),
    ],
)
def test_bad_grids_are_refused(given, labels, message):
    with pytest.raises(ValueError, match=message):
        figures.image_grid(given, np.array(labels, int), ["a", "b"])


ROWS = [{"step": s, "loss": 1 / s, "loss_image": 2 / s} for s in range(1, 90)] + [
    {"step": 5, "loss": float("nan")},
    {"step": 40, "val_accuracy": 0.5, "val_nll": 1.2},
    {"step": 80, "val_accuracy": 0.6, "val_auc": None},
]


def test_series_leaves_out_what_is_not_finite():
    steps, values = charts.series(ROWS, "loss")
    assert len(steps) == 89 and np.isfinite(values).all()
    assert charts.series(ROWS, "val_auc")[0].size == 0
    assert charts.curve_names(ROWS) == (
        ["loss", "loss_image", "val_nll"],
        ["val_accuracy", "val_auc"],
    )


def test_smooth_is_a_centred_mean():
    values = np.random.default_rng(0).random(100)
    assert charts.smooth(values)[50] == pytest.approx(values[48:53].mean())
    assert charts.smooth(values)[0] == pytest.approx(values[:3].mean())
    np.testing.assert_array_equal(charts.smooth(values[:10]), values[:10])


CURVE = {"rejected": [0.0, 0.5], "kept": [4, 2], "accuracy": [0.5, 1.0]}
TABLE = [
    {"lower": 0.0, "upper": 0.5, "count": 0, "confidence": None, "accuracy": None},
    {"lower": 0.5, "upper": 1.0, "count": 4, "confidence": 0.8, "accuracy": 0.5},
]

BITS = {"a": np.linspace(2, 4, 50), "b $ c": np.full(3, 8.0), "one": np.array([3.0])}


@pytest.mark.parametrize(
    "draw",
    [
        lambda alt: charts.training_chart(ROWS, alt),
        lambda alt: charts.training_chart([{"step": 1, "loss": -0.5}], alt),
        lambda alt: charts.rejection_chart({"a $ b": CURVE, "c <i>": CURVE}, alt),
        lambda alt: charts.reliability_chart(TABLE, alt),
        lambda alt: charts.likelihood_chart(BITS, ["b $ c"], 3.0, alt),
    ],
)
def test_charts_are_well_formed_and_the_same_every_time(draw):
    svg = draw('a "word" & more')
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == 'a "word" & more'
    assert svg == draw('a "word" & more')
    assert not re.search("|".join(("#010101", "#020202", "#030303", *charts.COLOURS)), svg)
    for words in ("metadata", "<style", "DOCTYPE", "<i>"):
        assert words not in svg


def test_charts_leave_pyplot_alone():
    import subprocess
    import sys

    code = (
        "import sys; from msflow_jax.reports import charts; "
        "charts.rejection_chart({'a': {'rejected': [0.0], 'kept': [1], 'accuracy': [1.0]}}, "
        "'words'); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
