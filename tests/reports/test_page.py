"""The whole page from a made-up workdir: parses, complete, escaped, self-contained."""

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest

from msflow_jax.reports import build_report, page
from msflow_jax.reports.page import flatten, number, percent, share
from msflow_jax.storage.text import listed
from tests.reports.workdirs import EVIL, Page, drawings, make_workdir

SECTIONS = [
    *("summary", "data", "training", "classification", "generation", "paths", "configuration"),
]
ALWAYS = ["summary", "data", "training", "configuration"]


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    path = build_report(make_workdir(tmp_path_factory.mktemp("full") / "run"))
    return path.read_text(encoding="utf-8"), path


def test_page_has_every_section_and_nothing_is_missing(full):
    text, path = full
    page = Page(text)
    assert page.ids == SECTIONS
    assert path.name == "index.html" and path.parent.name == "report"
    assert [p.name for p in path.parent.iterdir()] == ["index.html"]
    assert 'class="missing"' not in text
    assert "Research software, not a medical device." in page.text
    for words in ("Rejection", "Calibration", "Confusion matrix", "Per class", "Most confident",
                  "Memorisation", "real, from the training set (floor)", "not FID"):  # fmt: skip
        assert words in page.text


def test_page_is_self_contained(full):
    text, _ = full
    page = Page(text)
    assert page.addresses
    assert all(a.startswith(("data:image/png;base64,", "#")) for a in page.addresses)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert page.images_without_alt == 0
    # The address of the data source may be named, but only as text.
    assert "https://zenodo.org/records/1" in page.text
    assert "@import" not in text and set(re.findall(r"url\((.)", text)) == {"#"}
    assert not re.search(r"""(src|href|xmlns)[^=\s]*=["']?http""", text)


def test_special_characters_are_escaped(full):
    text, _ = full
    assert "<script" not in text
    assert "&lt;script&gt;" in text and EVIL in Page(text).text
    assert "&amp;lt;" not in text and "&amp;amp;" not in text


def test_charts_are_valid_drawings_that_follow_the_theme(full):
    text, _ = full
    charts = drawings(text)
    assert len(charts) == text.count("<svg") == 5
    ids = [one.attrib["id"] for chart in charts for one in chart.iter() if "id" in one.attrib]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(ids)
    for chart in charts:
        assert chart.attrib["role"] == "img" and chart.attrib["aria-label"]
        styles = " ".join(one.attrib.get("style", "") for one in chart.iter())
        assert "var(--ink)" in styles and "#0a00" not in styles
        assert not {"style", "script", "metadata", "image"} & {one.tag for one in chart.iter()}
    assert any(EVIL in one.itertext() for one in charts)


def test_the_page_is_the_same_each_time(full, tmp_path):
    again = build_report(make_workdir(tmp_path / "run"))
    assert again.read_text(encoding="utf-8") == full[0]


def test_navigation_reaches_every_section(full):
    assert Page(full[0]).links == SECTIONS


def test_real_data_is_not_called_phantom_and_phantoms_are(full, tmp_path):
    assert "hantom" not in Page(full[0]).text
    text = build_report(make_workdir(tmp_path / "w", "phantoms")).read_text(encoding="utf-8")
    assert text.count("<figcaption>") == text.count("<figcaption><strong>Phantom data")
    assert "phantom data</span></h1>" in text


def test_reasons_of_undefined_metrics_are_shown(full):
    text = Page(full[0]).text
    assert "too few images" in text
    assert "No image of rare in this split" in text
    assert "nan" not in text.lower().split()


def test_empty_workdir_says_what_is_missing(tmp_path):
    page = Page(build_report(tmp_path).read_text(encoding="utf-8"))
    assert page.ids == ALWAYS
    for words in ("Nothing is measured yet", "No facts on the data", "No metrics.jsonl",
                  "config.json): not in this workdir"):  # fmt: skip
        assert words in page.text


def test_sections_whose_blocks_are_not_there_say_so(tmp_path):
    names = [*SECTIONS[3:-1], "segmentation", "likelihood", "explanation", "temperatures"]
    content = {"sections": [*names, "calibration", "abstain"]}
    (tmp_path / "evaluation.json").write_text(json.dumps(content))
    page = Page(build_report(tmp_path).read_text(encoding="utf-8"))
    assert page.ids == [*ALWAYS[:3], *names, "calibration", "abstain", ALWAYS[3]]
    for words in ("No classification", "No generated samples", "No paths", "No generation metrics",
                  "No most confident images", "No segmentation", "No likelihoods",
                  "No explained images", "No samples at several temperatures"):  # fmt: skip
        assert words in page.text


def test_damaged_files_are_named_and_do_not_stop_the_page(tmp_path):
    make_workdir(tmp_path)
    (tmp_path / "config.json").write_text('{"train": ')
    (tmp_path / "manifest.json").write_text("[1]")
    (tmp_path / "evaluation.npz").write_bytes(b"PK\x03\x04 cut short")
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 60, "lo\n')
    text = Page(build_report(tmp_path).read_text(encoding="utf-8")).text
    for words in ("config.json is damaged (no JSON", "manifest.json is damaged (a JSON object",
                  "evaluation.npz is cut short or damaged", "1 unreadable line"):  # fmt: skip
        assert words in text


def test_own_data_are_called_by_their_table_and_show_what_the_model_uses(tmp_path):
    """Of a run in stages each has its curves, in the order of the training."""
    image = {"kind": "image", "shape": [8, 8, 1]}
    maps = {name: {"kind": "window", "low": 1, "high": 2, "unit": name} for name in ("ct", "pet")}
    facts = {
        "name": "cohort", "source": "/data/trial.csv", "classes": ["a", "b"], "intensities": maps,
        "modalities": {"t1w": image, "pet": image, "ct": image, "label": {"kind": "label"}},
    }  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps({"data": facts}))
    (tmp_path / "config.json").write_text(json.dumps({"model": {"modalities": ["t1w", "ct"]}}))
    for name in ("align-ct", "draw-t1w", "draw-ct"):
        (tmp_path / "stages" / name).mkdir(parents=True)
        (tmp_path / "stages" / name / "metrics.jsonl").write_text('{"step": 5, "loss": 0.5}\n')
    order = [["draw-t1w", ""], ["align-ct", ""]]  # of which the note of a killed run may lack some
    (tmp_path / "stages.json").write_text(json.dumps(order))
    text = build_report(tmp_path).read_text(encoding="utf-8")
    assert "<h1>trial.csv" in text and "No metrics.jsonl" not in text
    stages = re.findall("<h3>Stage ([^<]+)</h3>", text)
    assert stages == ["draw-t1w", "align-ct", "draw-ct"] and len(drawings(text)) == 3
    data = text[text.index('id="data"') : text.index('id="training"')]
    assert "modalities.ct.kind" in data and "modalities.label.kind" in data and "pet" not in data
    (tmp_path / "stages.json").write_text("[1")
    assert build_report(tmp_path).read_text(encoding="utf-8").count("<h3>Stage") == 3


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "evaluation.npz", samples=np.array([{"a": 1}], dtype=object))
    text = Page(build_report(tmp_path).read_text(encoding="utf-8")).text
    assert "evaluation.npz holds pickled objects" in text


def test_segmentation_has_a_section_where_there_is_one(tmp_path):
    rows = {"lesion": {"dice": 0.5, "iou": 0.333, "pixels": 10}}
    content = {"segmentation": {"mean_dice": 0.5, "mean_iou": 0.333, "classes": rows}}
    (tmp_path / "evaluation.json").write_text(json.dumps(content))
    page = Page(build_report(tmp_path).read_text(encoding="utf-8"))
    assert "segmentation" in page.ids and "lesion" in page.text and "mean Dice" in page.text


def words_of(text):
    """The text of a page with single spaces, also between the cells of a table."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def test_what_a_referee_asks_is_there(full):
    text = words_of(full[0])
    for words in ("sensitivity", "specificity", "PPV", "NPV", "AP", "ROC curves", "Quadratic kappa",
                  "Abstention by class", "By site", f"north, {EVIL}", "Images and subjects",
                  "trained parameters 1,234,567", "python -m experiments.evaluate",
                  "time of the training steps 2.0 minutes", "2026-01-02T03:04:05", "numpy 2.4.6",
                  "How to cite", "arxiv.org/abs/2507.19098", "Requested class: rare"):  # fmt: skip
        assert words in text, words


def test_cases_carry_their_names(full):
    text = Page(full[0]).text
    assert f"certain/0{EVIL}.png" in text and "a/7.png" in text


def test_measures_are_explained_where_they_are_printed(full):
    text = words_of(full[0])
    for words in ("Coverage: the share of the validation split", "Sensitivity (recall): share",
                  "Larger always means less certain", "Fréchet distance: 0 is equal",
                  "Both see noise, fog and blur"):  # fmt: skip
        assert words in text, words
    assert full[0].count('class="help"') >= 5


def test_grain_and_the_lack_of_images_are_shown(full):
    text = words_of(full[0])
    assert "uniform noise 9.50 68.00" in text and "real against real, by chance 0.50 0.60" in text
    assert "Too few pictures for a distance: 18 per set." in text and "ceiling" not in text


def test_a_list_of_names_with_commas_keeps_them_apart():
    assert listed(["a", "b, c"]) == "a, “b, c”"
    assert flatten({"classes": ["a", "b, c", "d"]}) == [("classes", "a, “b, c”, d")]


def test_the_citation_is_that_of_the_repository():
    templates = Path(page.__file__).parent / "templates"
    root = templates.parents[2]
    if not (root / "CITATION.cff").is_file():
        pytest.skip("an installed package has no CITATION.cff beside it")
    assert (templates / "citation.cff").read_text() == (root / "CITATION.cff").read_text()


def test_a_phone_keeps_the_heads_of_rows_and_scrolls_what_is_wide(full):
    style = full[0].split("</style>")[0]
    assert re.search(r"tbody th[^{]*\{ position: sticky; left: 0", style)
    assert "@media (max-width: 640px)" in style and "figure { overflow-x: auto; }" in style
    for table in re.findall(r"<(\w+)[^>]*><table", full[0]):
        assert table == "div"
    assert full[0].count("<table") == full[0].count('<div class="scroll"><table')


def test_a_segmentation_page_knows_no_generation_and_says_what_is_hardly_found(tmp_path):
    dice = {"a": 0.9, "b, c": 0.1}
    rows = {name: {"dice": d, "iou": d / 2, "pixels": 50} for name, d in dice.items()}
    block = {"accuracy": 0.4, "mean_dice": 0.5, "mean_iou": 0.25, "classes": rows}
    content = {"sections": ["segmentation"], "split": "test", "segmentation": block}
    (tmp_path / "evaluation.json").write_text(json.dumps(content))
    text = Page(build_report(tmp_path).read_text(encoding="utf-8")).text
    assert "generated" not in text.lower() and "Hardly found, with its Dice: “b, c (0.100)”" in text
    assert "Chance level: 40.0" in text and "mean Dice of 0.500, best for a (0.900)" in text


def test_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        build_report(tmp_path / "nowhere")


def test_numbers_in_words():
    shown = [share(x).removesuffix("\u00a0%") for x in (0, 0.0047, 0.12, 0.9962, 0.99996, 1)]
    assert shown == ["0", "0.5", "12", "99.6", "99.996", "100"] and share(None) == "n/a"
    assert percent(0.1234) == "12.3\u00a0%" and percent(None) == "n/a"
    assert number(1234) == "1,234" and number(0.5) == "0.500" and number(None) == "n/a"
    assert flatten({"a": {"b": [1, 2], "c": []}, "d": None}) == [
        ("a.b", "1, 2"), ("a.c", "none"), ("d", "n/a"),
    ]  # fmt: skip
