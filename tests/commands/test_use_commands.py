"""Evaluate, classify and generate on a finished run."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from msflow_jax.storage.content import Note
from tests.commands.conftest import evaluation, read


def test_classify_a_folder(trained, pictures, tmp_path, command):
    out = command(
        "classify", f"--workdir={trained}", f"--images={pictures / 'test'}",
        f"--output={tmp_path / 'deep' / 'p.csv'}", "--keep=0.5",
    )  # fmt: skip
    assert out.status == 0, out.err
    rows = read(tmp_path / "deep" / "p.csv")
    assert len(rows) == 12 and rows[0]["name"] == "dark/0.png"
    assert list(rows[0]) == [
        "name", "label", "class", "p_dark", "p_very bright", "uncertainty_distance",
        "uncertainty_margin", "uncertainty_posterior", "uncertainty_entropy", "uncertainty_spread",
        "uncertainty_flow_error", "uncertainty_picture_spread", "uncertainty_mahalanobis",
        "uncertainty_neighbour", "outside", "abstain", "reason", "evaluation",
    ]  # fmt: skip
    assert {row["evaluation"][:11] for row in rows} == {"test (step "}
    assert {row["abstain"] for row in rows} <= {"0", "1"}
    above = [row["reason"].startswith("too uncertain: distance above ") for row in rows]
    assert above == [row["abstain"] == "1" for row in rows] and any(above)
    reason = next(row["reason"] for row in rows if row["reason"])
    assert f"abstained on {sum(above)} ({sum(above)} {reason}) by the evaluation test" in out.out
    for row in rows:
        assert row["class"] == ("dark", "very bright")[int(row["label"])]
        assert float(row["p_dark"]) + float(row["p_very bright"]) == pytest.approx(1, abs=1e-5)


def test_coverage_sets_the_threshold(trained, pictures, tmp_path, command):
    """On the validation split itself, the share that is answered is the coverage."""
    answered = []
    for coverage in (0.5, 1.0):
        command(
            "classify", f"--workdir={trained}", f"--images={pictures / 'val'}",
            f"--output={tmp_path / 'p.csv'}", f"--keep={coverage}", "--measure=entropy",
        )  # fmt: skip
        answered.append(np.mean([row["abstain"] == "0" for row in read(tmp_path / "p.csv")]))
    np.testing.assert_allclose(answered, [0.5, 1.0], atol=0.13)


def test_sets_stand_in_the_table(trained, pictures, tmp_path, command):
    given = ("classify", f"--workdir={trained}", f"--images={pictures / 'test'}")
    out = command(*given, f"--output={tmp_path / 'p.csv'}", "--coverage=0.5", "--score=lac")
    assert out.status == 0 and "sets at a rate of 0.5 by 2 validation images" in out.err, out.err
    for row in read(tmp_path / "p.csv"):
        names = row["set"].split("|") if row["set"] else []
        assert len(names) == int(row["set_size"]) and set(names) <= {"dark", "very bright"}
    out = command(*given, f"--output={tmp_path / 'p.csv'}", "--coverage=0.9", "--by-class")
    assert "too few calibration images for this rate of dark, very bright" in out.err
    assert "9 are needed of each class: more validation images" in out.err
    assert {row["set_size"] for row in read(tmp_path / "p.csv")} == {"2"}
    out = command(*given, f"--output={tmp_path / 'p.csv'}")
    assert "8 validation images are too few to tell images from outside" in out.err
    out = command(*given, "--outside=1")
    assert out.status == 2 and "--outside must lie in [0, 1), got 1" in out.err
    out = command(*given, "--coverage=90")
    assert out.status == 2 and "must lie in (0, 1), got 90" in out.err


def test_classify_one_image_equals_the_folder(trained, pictures, tmp_path, command):
    """The noise of the first image is its own, whatever comes after it."""
    first = pictures / "test" / "dark" / "0.png"
    for images, name in ((first, "one.csv"), (first.parent, "all.csv")):
        out = command(
            "classify", f"--workdir={trained}", f"--images={images}", f"--output={tmp_path / name}"
        )
        assert out.status == 0, out.err
    one, every = read(tmp_path / "one.csv")[0], read(tmp_path / "all.csv")[0]
    assert float(one["p_dark"]) == pytest.approx(float(every["p_dark"]), abs=1e-5)


def test_generate(trained, tmp_path, command):
    arguments = (
        f"--workdir={trained}",
        "--label=very bright",
        "--label=0",
        "--count=3",
        "--steps=2",
    )
    for seed, folder in ((5, "a"), (5, "b"), (6, "c")):
        out = command("generate", *arguments, f"--seed={seed}", f"--output={tmp_path / folder}")
        assert out.status == 0, out.err
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert len([n for n in names if n.startswith("1_very-bright_")]) == 3
    assert len([n for n in names if n.startswith("0_dark_")]) == 3
    assert {"grid.pdf", "generated.json"} <= set(names) and len(names) == 8
    record = json.loads((tmp_path / "a" / "generated.json").read_text())
    assert (record["seed"], record["steps"], len(record["images"])) == (5, 2, 6)
    assert record["images"][0]["class"] == "very bright"
    a, b, c = (
        np.asarray(Image.open(tmp_path / folder / record["images"][0]["file"])) for folder in "abc"
    )
    assert a.shape == (8, 8) and a.dtype == np.uint8
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_evaluate_the_other_split(copied, pictures, tmp_path, command):
    """From where the data lie now, with one draw and a prior that classify follows once it stands."""
    moved = shutil.copytree(pictures, tmp_path / "moved")
    out = command("evaluate", f"--workdir={copied}", "--split=val", f"--root={moved}", "--draws=1",
                  "--prior=uniform", "--adopt")  # fmt: skip
    assert out.status == 0, out.err
    found = evaluation(copied, "val")
    assert found["split"] == "val" and found["classification"]["images"] == 8
    assert found["settings"]["classify"]["draws"] == 1
    assert found["settings"]["classify"]["prior"] == "uniform"
    csv = f"--output={tmp_path}/read.csv"
    assert command("classify", f"--workdir={copied}", f"--images={pictures}", csv).status == 0
    assert "val accuracy" in out.out


def test_images_of_another_size_with_resize(trained, tmp_path, command):
    Image.fromarray(np.zeros((12, 20, 3), np.uint8)).save(tmp_path / "x.png")
    out = command(
        "classify", f"--workdir={trained}", f"--images={tmp_path / 'x.png'}", "--resize",
        f"--output={tmp_path / 'p.csv'}",
    )  # fmt: skip
    assert out.status == 0 and len(read(tmp_path / "p.csv")) == 1


def test_without_an_evaluation_nothing_abstains(copied, pictures, tmp_path, command):
    shutil.rmtree(copied / "evaluations")
    out = command(
        "classify", f"--workdir={copied}", f"--images={pictures / 'test'}",
        f"--output={tmp_path / 'p.csv'}",
    )  # fmt: skip
    assert out.status == 0 and "no evaluation in the workdir" in out.out
    assert {row["abstain"] for row in read(tmp_path / "p.csv")} == {""}


def test_a_training_set_of_real_and_drawn_images(command, trained, config_file, tmp_path):
    from msflow_jax.config import load_config
    from msflow_jax.data.sources.listings.own import look

    call = ("generate", f"--workdir={trained}", f"--output={tmp_path / 'set'}", "--augment")
    done = command(*call, "--count=2")
    assert done.status == 0, done.err
    assert "dark 12 real and 2 drawn" in done.out and "own_images" in done.out
    assert len(list((tmp_path / "set/images").glob("*.png"))) == 44 + 4
    assert command(*call, "--count=1").status == 0  # in place of an earlier one
    assert len(list((tmp_path / "set/images").glob("drawn-*.png"))) == 2
    warned = json.loads((tmp_path / "set/generated.json").read_text())["warnings"]
    assert warned and f"warning: {warned[0]}" in done.err
    one = command(*call, "--count=3", "--label=dark")
    assert "dark 12 real and 3 drawn, very bright 12 real and 0 drawn" in one.out, one.err
    assert command(*call, "--count=1").status == 0
    for wrong, says in (
        (("--balance",), "nothing is to be drawn"),
        (("--text=dark",), "leave out texts"),
        (("--label=grey",), "grey"),
        (("--root=/nowhere",), "/nowhere"),
    ):
        found = command(*call, *wrong)
        assert found.status == 2 and says in found.err, found.err
    assert "--augment" in command(*call[:3], "--balance").err
    table = tmp_path / "set/manifest.csv"
    own = load_config(["--config=own_images", f"--config.data.root={table}"]).data
    facts = look(own)
    assert (facts.source, facts.training, facts.classes) == (
        "manifest",
        26,
        ("dark", "very bright"),
    )
    done = command(
        "train", f"--config={config_file}", "--config.data.name=manifest", "--no-evaluate",
        f"--config.data.root={table}", f"--workdir={tmp_path / 'w'}", "--config.train.steps=2",
        "--config.data.side=8",
    )  # fmt: skip
    assert done.status == 0 and "26 training, 8 validation, 12 test" in done.out, done.err
    Image.fromarray(np.zeros((12, 20), np.uint8)).save(tmp_path / "x.png")
    given = f"--workdir={tmp_path / 'w'}", f"--images={tmp_path / 'x.png'}"
    says = "1 of 1 images are brought to 8 x 8 x 1 by data.fit=pad: x.png is 12 x 20 x 1"
    with pytest.warns(Note, match=says):  # resized as training did
        out = command("classify", *given, f"--output={tmp_path / 'p.csv'}")
    assert out.status == 0, out.err
    out = command("classify", *given, f"--output={tmp_path / 'p.csv'}", "--no-resize")
    assert out.status == 2 and "x.png is 12 x 20" in out.err


def test_an_evaluation_says_what_the_model_gives_away(trained):
    found = evaluation(trained)["privacy"]
    member = found["membership"]
    assert member["loss"] == "flow_error" and (member["members"], member["others"]) == (8, 8)
    assert 0 <= member["auroc"]["value"] <= 1 and found["neighbours"]["compared"] == 8
    text = (trained / "report" / "index.html").read_text()
    assert "Membership inference: AUROC" in text and "if nothing is given away" in text


def test_an_evaluation_knows_that_draws_have_opposite_noise(trained):
    found = evaluation(trained)["classification"]
    assert (
        found["draws"].get("opposite") is True and "opposite noise" in found["conventions"]["draws"]
    )
