"""Sections by name: those that the library knows, any other, and no word of a family."""

import configparser
import re
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

import msflow_jax.reports
from msflow_jax.evaluation.privacy import membership
from msflow_jax.families import FAMILIES
from msflow_jax.reports import SECTIONS, build_report
from msflow_jax.reports.page import Section
from msflow_jax.reports.results import Results, read_results
from msflow_jax.reports.sections import named_section
from tests.reports.workdirs import EVIL, Page, change, generation, make_workdir


def page_of(path):
    text = build_report(path).read_text(encoding="utf-8")
    return Page(text), text


def test_every_section_that_the_library_knows_is_there():
    assert set(SECTIONS) == {
        *(
            "classification",
            "calibration",
            "abstain",
            "segmentation",
            "generation",
            "few_steps",
            "sets",
            "outside",
            "privacy",
        ),
        *("likelihood", "explanation", "temperatures", "paths"),
        *("understanding", "translation", "partners", "retrieval", "texts", "facts"),
    }
    for name in SECTIONS:
        section = named_section(Results(name="w"), name)
        assert isinstance(section, Section) and section.name == name and section.html


@pytest.mark.parametrize("members, others", [(40, 30), (40, 4), (0, 0)])
@pytest.mark.parametrize("near", [True, False])
def test_what_is_given_away_is_shown_whichever_parts_were_measured(members, others, near):
    rng, block = np.random.default_rng(0), {}
    if members:
        losses = rng.normal(0, 1, members), rng.normal(0.2, 1, others)
        block["membership"] = {**membership(*losses), "loss": "loss_image"}
    if near:
        block["neighbours"] = {
            "generated": 8, "compared": 20, "nearer": {"value": 0.5, "chance": [0.4, 0.6]},
            "ratio": {"median": 1.0, "p5": 0.9},
        }  # fmt: skip
    found = named_section(Results(name="w", evaluation={"privacy": block}), "privacy").html
    assert ("Membership inference: AUROC" in found) == bool(members)
    assert ("No interval of the membership auroc" in found) == (others == 4)
    assert ("nearer to training" in found) == near


def test_sections_follow_the_order_of_the_evaluation(tmp_path):
    names = ["paths", "generation", "classification"]
    page, _ = page_of(change(make_workdir(tmp_path), sections=[*names, "paths"]))
    assert page.ids == ["summary", "data", "training", *names, "configuration"]


def test_a_section_of_another_name_shows_its_block_and_its_images(tmp_path):
    block = {"mean": 0.125, "of": {EVIL: [1, 2]}, "long": list(range(1000))}
    change(make_workdir(tmp_path), sections=["classification", "odd_features"], odd_features=block)
    with np.load(tmp_path / "evaluation.npz") as archive:
        arrays = dict(archive)
    arrays["odd_features_best_ones"] = np.zeros((20, 8, 8, 3), np.uint8)
    arrays["odd_features_grey"] = np.zeros((2, 8, 8, 1), np.uint8)
    arrays["odd_features_values"] = np.zeros((2, 8, 8, 1), np.float32)
    arrays["odd_features_volume"] = np.zeros((2, 8, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "evaluation.npz", **arrays)
    page, text = page_of(tmp_path)
    assert page.ids[3:5] == ["classification", "odd_features"]
    for words in ("Odd features", "0.125", f"of.{EVIL}", "1, 2", "(1,000 in all)", "best ones",
                  "The first images of 20."):  # fmt: skip
        assert words in page.text
    assert text.count("images of Odd features: ") == 2 and "998, 999" not in text


@pytest.mark.parametrize("name", [EVIL, "data", "é", ""])
def test_any_name_of_a_section_makes_a_valid_address(tmp_path, name):
    page, text = page_of(
        change(make_workdir(tmp_path), sections=["paths", name], **{name: {"a": 1}})
    )
    assert page.links == page.ids
    assert len(set(page.ids)) == len(page.ids) == 6 and "<script" not in text
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", one) for one in page.ids)


def test_drawn_images_of_several_modalities_each_have_their_measures(tmp_path):
    path = make_workdir(tmp_path)
    rng = np.random.default_rng(0)
    images = {"samples": 3, "real": 3, "nearest_generated": 2, "nearest_training": 2}
    stored = dict(np.load(path / "evaluation.npz"))
    for name in ("ct", EVIL):
        for key, count in images.items():
            shape = (count, 8, 8, 1)
            stored[f"generation_{name}_{key}"] = rng.integers(0, 256, shape, dtype=np.uint8)
    stored = {k: v for k, v in stored.items() if k not in images}
    np.savez(path / "evaluation.npz", **stored)
    block = {**generation(), "source": "report", "trained": True}
    other = {**block, "source": "ct", "trained": False}
    found = {"modalities": {"ct": block, EVIL: other}, "absent": ["t1w"], "step": 3}
    page, text = page_of(change(path, sections=["generation"], generation=found))
    assert "<script" not in text and 'class="missing"' not in text
    for words in (
        "Generation metrics: ct from report", f"Memorisation: {EVIL} from ct, emergent",
        "Not drawn, for lack of examples", "Fréchet distance, ct", "ct: 2 generated images are exact",
        "up to 6 images per modality",
    ):  # fmt: skip
        assert words.lower() in " ".join(page.text.split()).lower(), words
    assert "Fréchet distance, ct" in page.text and page.images_without_alt == 0


def test_blocks_of_the_classification_stand_alone_without_it(tmp_path):
    thresholds = {"coverage": [0.5, 1.0], "distance": [0.1, 0.2]}
    change(make_workdir(tmp_path), sections=["abstain", "classification"], abstain=thresholds)
    page, _ = page_of(tmp_path)
    assert "abstain" not in page.ids and "Thresholds of uncertainty" in page.text
    change(tmp_path, sections=["abstain"])
    page, _ = page_of(tmp_path)
    assert "abstain" in page.ids and "classification" not in page.ids and "0.1, 0.2" in page.text


def test_words_come_from_the_evaluation(tmp_path):
    make_workdir(tmp_path)
    results = read_results(change(tmp_path, words={"distance": EVIL}))
    assert results.word("distance") == EVIL and results.word("draw") == "noise draw"
    assert results.word("evidence") == "negative log-likelihood"
    assert results.word("top_two") == "top two"
    page, text = page_of(tmp_path)
    assert f"AUC, of {EVIL}s" in page.text and "<script" not in text


def test_intervals_over_subjects_say_so(tmp_path):
    path = make_workdir(tmp_path)
    content = read_results(path).part("classification")
    content["intervals"] |= {"unit": "subject", "groups": 12}
    page, _ = page_of(change(path, classification=content))
    assert "bootstrap over the images of whole subjects (12 subjects)" in " ".join(
        page.text.split()
    )


def test_no_family_is_named_and_no_word_of_old_is_used():
    """Whose model it was is told by the evaluation, in ``sections`` and ``words``."""
    names = "|".join([*FAMILIES, "symmflow", "diffusers", "synergy"])
    old = r"put aside|runner.up|\bread as\b|\banswers?\b|contrast map"
    unwanted = re.compile(f"{names}|{old}", re.IGNORECASE)
    folder = Path(msflow_jax.reports.__file__).parent
    files = [path for path in folder.rglob("*") if path.suffix in (".py", ".html", ".css")]
    assert {path.suffix for path in files} == {".py", ".html", ".css"}
    for path in files:
        assert not unwanted.search(path.read_text()), path


def test_templates_are_installed():
    root = Path(msflow_jax.reports.__file__).parents[2]
    if not (root / "setup.cfg").is_file():
        pytest.skip("an installed package has no setup.cfg beside it")
    settings = configparser.ConfigParser()
    settings.read(root / "setup.cfg", encoding="utf-8")
    declared = settings["options.package_data"]["msflow_jax"].split(", ")
    for room in ("reports", "serving"):
        folder = root / "msflow_jax" / room / "templates"
        for path in folder.iterdir():
            assert any(fnmatch(f"{room}/templates/{path.name}", one) for one in declared), path
