"""Pictures and charts: valid files of the right size, pixels untouched, no global state."""

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from msflow_jax.reports import charts, curves, figures

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
    assert charts.curve_names([{"val_bits": 1.0, "val_auc": 0.5}]) == (["val_bits"], ["val_auc"])
    assert charts.curve_names(ROWS) == (
        ["loss", "loss_image", "val_nll"],
        ["val_accuracy", "val_auc"],
    )


def test_parts_of_a_validation_loss_are_losses_and_what_is_no_share_has_an_axis_of_its_own():
    row = {
        "step": 1,
        "loss": 3.0,
        "val_loss": 4.2,
        "val_loss_place": 2.6,
        "val_accuracy_place": 0.47,
    }
    losses, scores = charts.curve_names([row])
    assert losses == ["loss", "val_loss", "val_loss_place"] and scores == ["val_accuracy_place"]
    rows = [row, {"step": 2, "val_psnr": 23.5, "val_kappa": -0.2, "val_jump_error": 0.01}]
    svg = charts.training_chart(rows, "curves")
    assert svg.count(">training step<") == 4 and svg.count(">dB<") == 1
    assert charts.training_chart([row], "curves").count(">training step<") == 2


@pytest.mark.parametrize("draw", [curves.roc_chart, curves.recall_chart])
def test_a_long_name_in_a_legend_keeps_its_area(draw):
    long = "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)"
    points = np.array([[0.0, 0.0], [0.2, 0.9], [1.0, 1.0]])
    svg = draw({f"{long} (0.912)": points, f"{long} (0.99996)": points, long: points}, "curves")
    assert "… (0.912)" in svg and "… (0.99996)" in svg and svg.count(long[:30]) == 3


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

# Mathematics, markup, what XML cannot hold, half a surrogate pair, a new line, and a very long name.
HOSTILE = "</text><script>a & $b$ \x00\x1b \ud800\n" + 90 * "x"
BITS = {"a": np.linspace(2, 4, 50), HOSTILE: np.full(3, 8.0), "one": np.array([3.0])}


@pytest.mark.parametrize(
    "draw",
    [
        lambda: charts.training_chart([*ROWS, {"step": 3, f"val_{HOSTILE}": 1.0}], HOSTILE),
        lambda: charts.training_chart([{"step": 1, "loss": -0.5}], HOSTILE),
        lambda: charts.rejection_chart({HOSTILE: CURVE, "c": CURVE}, HOSTILE),
        lambda: charts.reliability_chart(TABLE, HOSTILE),
        lambda: charts.likelihood_chart(BITS, [HOSTILE], 3.0, HOSTILE),
    ],
)
def test_charts_are_drawings_with_transparent_ground(draw):
    """One element each, whatever the names are, without colours of its own or a style sheet."""
    svg = draw()
    root = ElementTree.fromstring(svg)
    assert root.tag == "svg" and root.attrib["aria-label"].startswith("</text><script>a & $b$ ")
    assert "<script" not in svg and "xmlns" not in svg and "http" not in svg
    assert not {"script", "style", "metadata"} & {one.tag for one in root.iter()}
    ground = next(one for one in root.iter("path"))
    assert "fill: none" in ground.attrib["style"] or "opacity: 0" in ground.attrib["style"]
    styles = " ".join(one.attrib.get("style", "") for one in root.iter())
    assert "var(--" in styles and "font-size" in styles and "DejaVu" not in styles
    assert set(re.findall(r"(?:fill|stroke): (#\w+)", styles)) <= {"#ffffff", "#000000"}
    assert svg == draw()


def test_identifiers_of_two_charts_do_not_clash():
    found = [charts.rejection_chart({"a": CURVE}, "a"), charts.reliability_chart(TABLE, "b")]
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in found]
    assert all(ids) and not ids[0] & ids[1]
    for svg, own in zip(found, ids, strict=True):
        assert set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg)) <= {
            *((one, "") for one in own), *(("", one) for one in own),
        }  # fmt: skip


def test_a_long_series_keeps_its_outline_in_few_points():
    values = np.random.default_rng(0).normal(size=100_000)
    shown = charts.fewer(values, 100)
    assert (
        len(shown) <= 100 and shown[0] == 0 and shown[-1] == 99_999 and (np.diff(shown) > 0).all()
    )
    assert {values.argmin(), values.argmax()} <= set(shown)
    np.testing.assert_array_equal(charts.fewer(values[:100], 100), np.arange(100))
    rows = [{"step": s, "loss": float(abs(v) + 1)} for s, v in enumerate(values[:20_000])]
    assert len(charts.training_chart(rows, "")) < 60_000


def test_charts_leave_pyplot_alone():
    import subprocess
    import sys

    code = (
        "import sys; from msflow_jax.reports import charts; "
        "charts.rejection_chart({'a': {'rejected': [0.0], 'kept': [1], 'accuracy': [1.0]}}, "
        "'words'); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
