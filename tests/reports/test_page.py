"""The whole page from a made-up workdir: parses, complete, escaped, self-contained."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from msflow_jax.evaluation import evaluate_classifier
from msflow_jax.reports import build_report
from msflow_jax.reports.page import flatten, number, percent

EVIL = '<script>alert("x")</script> & Co'
CLASSES = ["normal", EVIL, "rare"]
SECTIONS = [
    *("summary", "data", "training", "classification", "cases"),
    *("samples", "generation", "paths", "configuration"),
]
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Collects sections, text and addresses, and checks that tags nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.tags, self.addresses, self.text = [], [], [], [], ""
        self.images_without_alt = 0
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        known = ("src", "href", "srcset", "xlink:href")
        self.addresses += [attributes[k] for k in known if k in attributes]
        self.images_without_alt += tag == "img" and not attributes.get("alt")
        if tag == "section":
            self.ids.append(attributes["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data


def classification(rng):
    labels = rng.integers(0, 2, 40)  # The third class stays absent.
    distances = 1 + rng.random((2, 40, 3)) - 0.4 * np.eye(3)[labels]
    powers = np.exp(-3 * distances)
    uncertainties = {"distance": distances.mean(0).min(1), "entropy": rng.random(40)}
    probabilities = powers / powers.sum(-1, keepdims=True)
    return evaluate_classifier(
        labels, distances, probabilities, uncertainties, CLASSES, resamples=20
    )


def generation():
    scores = {"precision": 0.9, "recall": 0.8, "density": 1.0, "coverage": 0.7, "k": 5}
    gap = {"frechet": None, "undefined": {"frechet": "too few images"}}
    counts = {"generated": 0.5, "generated_count": 8, "real": None, "real_count": 0}
    return {
        "features": "32 features; not FID",
        "samples": 20,
        "comparison": {"generated": {"frechet": 1.5, **scores}, "real": {"frechet": 0.5, **scores},
                       "noise": gap},
        "recognition": [{"name": name, **counts} for name in CLASSES],
        "recognition_overall": {"generated": 0.5, "real": 0.6},
        "memorisation": {
            "generated_median": 0.1, "held_out_median": 0.1, "generated_least": 0.0,
            "held_out_least": 0.05, "generated_copies": 2, "held_out_copies": 0, "training": 90,
            "compared_at_side": 8, "share_below_threshold": 0.05, "threshold": 0.06,
            "generated_repeats": 0, "nearest": {"distance": [0.0, 0.01]},
        },
        "notes": ["Read beside the floor."],
    }  # fmt: skip


def arrays(rng):
    def draw(n, channels=1):
        return rng.integers(0, 256, (n, 8, 8, channels), dtype=np.uint8)

    cases = {}
    for kind in ("certain", "uncertain"):
        cases |= {
            f"{kind}_images": draw(5), f"{kind}_labels": np.array([0, 1, 2, 0, 1]),
            f"{kind}_predictions": np.array([0, 0, 2, 1, 1]), f"{kind}_uncertainty": rng.random(5),
        }  # fmt: skip
    u = np.linspace(0, 1, 12)
    return {
        "samples": draw(9), "sample_labels": np.arange(9) % 3,
        "real": draw(6), "real_labels": np.arange(6) % 2,
        "generate_image": draw(12), "generate_label": draw(12, 3), "generate_u": u,
        "classify_image": draw(12), "classify_label": draw(12, 3), "classify_u": u[::-1],
        "classify_true": np.array(1), "classify_predicted": np.array(0),
        "nearest_generated": draw(2), "nearest_training": draw(2), **cases,
    }  # fmt: skip


def make_workdir(path, name="breastmnist"):
    rng = np.random.default_rng(0)
    path.mkdir(parents=True, exist_ok=True)
    data = {"name": name, "classes": CLASSES, "source": "https://zenodo.org/records/1", "flips": []}
    evaluation = {
        "split": "test", "family": "some", "data": data, "settings": {"draws": 2},
        "sections": ["classification", "abstain", "generation", "paths"],
        "classification": classification(rng), "generation": generation(),
    }  # fmt: skip
    (path / "evaluation.json").write_text(json.dumps(evaluation))
    (path / "config.json").write_text(json.dumps({"train": {"steps": 10, "note": EVIL}}))
    (path / "manifest.json").write_text(json.dumps({"git": None, "packages": {"jax": "0.10.2"}}))
    rows = [{"step": s, "loss": 1 / s, "images_per_second": 50.0} for s in range(1, 60)]
    rows.append({"step": 50, "val_accuracy": 0.75, "val_auc": None})
    (path / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    np.savez(path / "evaluation.npz", **arrays(rng))
    return path


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
    assert "@import" not in text and set(re.findall(r"url\((.)", text)) <= {"#"}


def test_charts_are_drawings_of_the_page(full):
    """SVG that is well-formed, in the page's colours, each id once, with words for who cannot see it."""
    text, _ = full
    charts = re.findall(r"<svg.*?</svg>", text, re.S)
    assert len(charts) == 3
    for chart in charts:
        root = ElementTree.fromstring(chart)
        assert root.get("role") == "img" and root.get("aria-label")
        assert "var(--one)" in chart and "#010101" not in chart and "<style" not in chart
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    uses = re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', "".join(charts))
    assert uses and set(uses) <= set(ids)


def test_hostile_names_in_charts_are_escaped(tmp_path):
    make_workdir(tmp_path)
    content = json.loads((tmp_path / "evaluation.json").read_text())
    curve = content["classification"]["rejection"].pop("entropy")
    content["classification"]["rejection"][EVIL] = curve
    (tmp_path / "evaluation.json").write_text(json.dumps(content))
    text = build_report(tmp_path).read_text(encoding="utf-8")
    assert "<script" not in text and "&lt;script&gt;" in text
    for chart in re.findall(r"<svg.*?</svg>", text, re.S):
        ElementTree.fromstring(chart)


def test_a_section_that_the_report_does_not_know(tmp_path):
    make_workdir(tmp_path)
    content = json.loads((tmp_path / "evaluation.json").read_text())
    content["sections"] = ["classification", "retrieval"]
    content["retrieval"] = {"recall_at_1": 0.25, "note": EVIL}
    (tmp_path / "evaluation.json").write_text(json.dumps(content))
    pictures = {"retrieval_found": np.zeros((3, 8, 8, 1), np.uint8), "retrieval_ranks": np.ones(3)}
    np.savez(tmp_path / "evaluation.npz", **pictures)
    page = Page(build_report(tmp_path).read_text(encoding="utf-8"))
    assert page.ids[3:] == ["classification", "cases", "retrieval", "configuration"]
    assert "recall_at_1" in page.text and EVIL in page.text and "found" in page.text


def test_evaluations_that_name_no_sections(tmp_path):
    """Of older versions: what is there is shown."""
    make_workdir(tmp_path)
    content = json.loads((tmp_path / "evaluation.json").read_text())
    del content["sections"]
    (tmp_path / "evaluation.json").write_text(json.dumps(content))
    assert Page(build_report(tmp_path).read_text(encoding="utf-8")).ids == SECTIONS


def test_special_characters_are_escaped(full):
    text, _ = full
    assert "<script" not in text
    assert "&lt;script&gt;" in text and EVIL in Page(text).text


def test_navigation_reaches_every_section(full):
    links = re.findall(r'<a href="#([^"]+)">', full[0])
    assert links == SECTIONS


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
    assert page.ids == ["summary", "data", "training", "configuration"]
    for words in ("Nothing is measured yet", "No facts on the data", "No metrics.jsonl",
                  "config.json): not in this workdir"):  # fmt: skip
        assert words in page.text


def test_what_an_evaluation_names_and_does_not_hold_is_missing(tmp_path):
    content = {"sections": ["classification", "generation", "paths", "segmentation"]}
    (tmp_path / "evaluation.json").write_text(json.dumps(content))
    text = Page(build_report(tmp_path).read_text(encoding="utf-8")).text
    for words in ("No classification", "No generated samples", "No trajectories",
                  "No generation metrics", "No segmentation"):  # fmt: skip
        assert words in text


def test_damaged_files_are_named_and_do_not_stop_the_page(tmp_path):
    make_workdir(tmp_path)
    (tmp_path / "config.json").write_text('{"train": ')
    (tmp_path / "manifest.json").write_text("[1]")
    (tmp_path / "evaluation.npz").write_bytes(b"PK\x03\x04 cut short")
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 60, "lo')
    text = Page(build_report(tmp_path).read_text(encoding="utf-8")).text
    for words in ("config.json could not be read", "manifest.json does not hold",
                  "evaluation.npz could not be read", "1 unreadable line"):  # fmt: skip
        assert words in text


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "evaluation.npz", samples=np.array([{"a": 1}], dtype=object))
    text = Page(build_report(tmp_path).read_text(encoding="utf-8")).text
    assert "evaluation.npz could not be read" in text


def test_segmentation_has_a_section_where_there_is_one(tmp_path):
    rows = {"lesion": {"dice": 0.5, "iou": 0.333, "pixels": 10}}
    content = {"segmentation": {"mean_dice": 0.5, "mean_iou": 0.333, "classes": rows}}
    (tmp_path / "evaluation.json").write_text(json.dumps(content))
    page = Page(build_report(tmp_path).read_text(encoding="utf-8"))
    assert "segmentation" in page.ids and "lesion" in page.text and "mean Dice" in page.text


def test_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        build_report(tmp_path / "nowhere")


def test_numbers_in_words():
    assert percent(0.1234) == "12.3\u00a0%" and percent(None) == "n/a"
    assert number(1234) == "1,234" and number(0.5) == "0.500" and number(None) == "n/a"
    assert flatten({"a": {"b": [1, 2], "c": []}, "d": None}) == [
        ("a.b", "1, 2"), ("a.c", "none"), ("d", "n/a"),
    ]  # fmt: skip
