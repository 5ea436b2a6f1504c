"""MedM2G draws reports and images of texts, finds partners, and says what it cannot do."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from msflow_jax.commands.generate import generate, written_before
from msflow_jax.commands.joint import read_texts
from msflow_jax.commands.report import report
from msflow_jax.commands.retrieve import retrieve
from msflow_jax.commands.translate import translate
from msflow_jax.inference import together

pytest.importorskip("tokenizers")


def test_reports_with_their_facts(trained, pictures, tmp_path):
    folder, _ = pictures
    rows = report(trained, str(folder), "t1w", tmp_path / "r.csv", draws=2)
    assert len(rows) == 3 and rows[0]["route"] == "emergent"
    # None where no draw states a fact, as a model of a few steps writes.
    assert rows[0]["agreement"] is None or 0 <= rows[0]["agreement"] <= 1
    with (tmp_path / "r.csv").open() as file:
        assert next(csv.DictReader(file))["name"] == "head_0.png"
    report(trained, str(folder), "t1w", tmp_path / "r.json", draws=2)
    assert len(json.loads((tmp_path / "r.json").read_text())["reports"]) == 3


def test_images_of_a_text_by_the_command(trained, tmp_path, capsys):
    """As many as the evaluation has drawn: what that has compiled is found again."""
    out = tmp_path / "out"
    with pytest.warns(UserWarning, match=r"no training report has the word\(s\) zebra"):
        generate(trained, [], 4, out, texts=["There is one lesion.", "A zebra."])
    assert "8 examples of ct: " in capsys.readouterr().out
    record = json.loads((out / "generated.json").read_text())
    assert record["routes"] == {"report-ct": "trained"} and record["given"] == ["report"]
    assert (record["seed"], record["steps"], record["files"]["ct"]["unit"]) == (0, 1, "")
    texts = [one["text"] for one in record["examples"]]
    assert texts == ["There is one lesion."] * 4 + ["A zebra."] * 4
    images = [np.asarray(Image.open(out / one["files"]["ct"])) for one in record["examples"]]
    assert images[0].shape == (16, 16) and (images[0] != images[1]).any()
    assert {p.name for p in out.iterdir()} == {"ct", "generated.json"}
    assert {*written_before(out)} >= {"ct", "generated.json"}  # the next call replaces it


def test_the_seed_of_use_is_as_configured(trained, pictures, tmp_path, seeded):
    """Of reports, of drawings of a text and of translations; records say which."""
    folder, _ = pictures
    given: dict = dict(draws=2, overwrite=True)
    usual, five, zero = (
        report(trained, str(folder), "t1w", tmp_path / "r.csv", seed=seed, **given)
        for seed in (None, 5, 0)
    )
    assert usual == five != zero
    generate(trained, [], 4, tmp_path / "g", texts=["There is one lesion."])
    assert json.loads((tmp_path / "g/generated.json").read_text())["seed"] == 5
    translate(trained, str(folder), "t1w", "ct", tmp_path / "t", draws=3)
    assert json.loads((tmp_path / "t/translated.json").read_text())["seed"] == 5


def test_images_and_reports_together_of_nothing(flow, tmp_path):
    names = together.usual(flow.model)
    assert names == ("report", "ct", "t1w") and together.usual(flow.model, "report") == ("ct",)
    assert together.routes(flow.model, names) == {
        "report-ct": "trained", "report-t1w": "emergent", "ct-t1w": "trained",
    }  # fmt: skip
    drawn = flow.generate_modalities(["ct", "report"], 2)
    kinds = together.formats(flow.info, drawn.images, "")
    found = together.write_together(tmp_path, drawn, flow.info, kinds)
    assert kinds == {"ct": "png"} and found["reports"] == "reports.csv"
    assert [one["files"]["ct"] for one in found["examples"]] == ["ct/00000.png", "ct/00001.png"]
    with (tmp_path / "reports.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 and list(rows[0])[:3] == ["index", "report", "log_probability"]
    assert rows[1]["report"] == drawn.texts["report"][1] and float(rows[0]["log_probability"]) < 0


def test_partners_are_found(trained, flow, pictures, tmp_path):
    folder, split = pictures
    texts = tmp_path / "texts"
    texts.mkdir()
    for i, text in enumerate(split.truth["report"][:4]):
        (texts / f"{i}.txt").write_text(text)
    rows = retrieve(trained, str(folder), "t1w", str(texts), "report", tmp_path / "f.csv", top=2)
    assert len(rows) == 6 and rows[0]["route"] == "emergent" and rows[0]["rank"] == 1
    assert rows[0]["similarity"] >= rows[1]["similarity"]
    vectors = flow.embed("ct", split.arrays["ct"][:2])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    "verb, flags, message",
    [
        ("translate", ("--source=t1w", "--target=pet"), "no modality 'pet': this model has"),
        (
            "translate",
            ("--source=t1w", "--target=report"),
            "'report' is text, where one of ct, t1w",
        ),
        ("translate", ("--source=report", "--target=ct"), "'report' is text, where one of ct, t1w"),
        ("translate", ("--source=flair", "--target=ct"), "no modality 'flair'"),
        ("translate", ("--source=t1w", "--target=t1w"), "to draw 't1w', give at least one"),
        ("report", ("--source=report",), "'report' is text, where one of ct, t1w is meant"),
        ("report", ("--source=t1w", "--draws=0"), "--draws must be at least 1, got 0"),
        ("generate", ("--label=none",), "draws modalities"),
        ("generate", ("--count=0",), "--count must be at least 1, got 0"),
        ("retrieve", ("--source=t1w", "--target=ct", "--top=0"), "--top must be at least 1"),
        ("retrieve", ("--source=t1w", "--target=pet"), "'pet'"),
    ],
)
def test_what_it_cannot_do_is_a_line(trained, pictures, tmp_path, command, verb, flags, message):
    out = f"--output={tmp_path / ('out' if verb in ('translate', 'generate') else 'out.csv')}"
    given = [f"--images={pictures[0]}"] * (verb != "generate")
    given += [f"--among={pictures[0]}"] * (verb == "retrieve")
    done = command(verb, f"--workdir={trained}", *given, out, *flags)
    (line,) = [one for one in done.err.splitlines() if "error" in one]
    assert done.status == 2 and message in line and "Traceback" not in done.err
    assert not [*tmp_path.glob("out*")]


@pytest.mark.parametrize("batch", [(), ("--batch=2",)])
def test_its_drawing_is_not_exported(trained, tmp_path, command, batch):
    given = (f"--workdir={trained}", "--verb=generate", f"--output={tmp_path / 'out'}")
    done = command("export", *given, *batch)
    (line,) = [one for one in done.err.splitlines() if "error" in one]
    assert done.status == 2 and "draws modalities, not images of classes" in line
    assert "--batch" not in line and "Traceback" not in done.err and not [*tmp_path.glob("out*")]


def test_what_cannot_be_drawn_together_is_a_line(flow):
    ct = {"ct": np.zeros((1, 16, 16, 1), np.uint8)}
    draw = flow.generate_modalities
    for call, message in (
        (lambda: draw(["pet"]), "no modality 'pet': this model has report, ct, t1w"),
        (lambda: draw([]), "name what to draw, of report, ct, t1w"),
        (lambda: draw(["ct"], 0), "count must be at least 1, got 0"),
        (lambda: draw(["ct"], guidance=2.0), "guidance is by a source, and none is given"),
        (lambda: draw(["ct"], partner_guidance=2.0), "'ct' alone has no partners"),
        (lambda: draw(["ct", "t1w"], sources=ct), "'ct' is given, and cannot be drawn as well"),
        (lambda: draw(["t1w"], sources={"ct": ct["ct"][:, :8]}), "ct must be uint8 .* got"),
        (lambda: draw(["ct"], temperature=0.5), "generate of this model has no temperature"),
        (lambda: flow.generate("none"), "draws modalities, not images of classes"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_reports_of_a_file_are_a_line_each(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("One.\nTwo.\n", encoding="utf-8")
    assert read_texts(["First."], file) == ("First.", "One.", "Two.")
    assert read_texts([], None) == ()
    for content, message in (
        (b"One.\n\nTwo.", "line 2 is empty"), (b"", "is empty: write"), (b"\xff\xfe1", "UTF-8"),
    ):  # fmt: skip
        file.write_bytes(content)
        with pytest.raises(ValueError, match=f"texts.txt.*{message}"):
            read_texts([], file)
