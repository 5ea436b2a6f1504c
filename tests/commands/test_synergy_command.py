"""SynerMedGen through its commands: train, evaluate, translate, answer."""

import csv
import json
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

from msflow_jax import data
from msflow_jax.commands.answer import answer, identify
from msflow_jax.commands.build_understanding import main as build
from msflow_jax.commands.classify import classify
from msflow_jax.commands.distill import main as distill
from msflow_jax.commands.evaluate import evaluate
from msflow_jax.commands.train import main
from msflow_jax.commands.translate import translate
from msflow_jax.synergy.family import FAMILY
from msflow_jax.workdir import open_workdir, read
from tests.commands.conftest import evaluation, only

pytest.importorskip("tokenizers")
FLAGS = [
    "--config=configs/synermedgen_phantom.py:zero_shot",
    "--config.data.side=16",
    "--config.data.phantoms.subjects=40",
    "--config.data.slices.spacing=16",
    "--config.model.modalities=('ct','t1w','t2w')",
    "--config.model.stages=('understand','reconstruct','classify')",
    "--config.model.tasks.instances=16",
    "--config.model.tasks.withhold=('ct-t2w',)",
    "--config.model.encoder.width=4",
    "--config.model.encoder.look_width=4",
    "--config.model.expert.width=8",
    "--config.model.expert.depth=1",
    "--config.model.expert.heads=1",
    "--config.model.expert.pairs=1",
    "--config.model.expert.size=8",
    "--config.model.expert.hidden=8",
    "--config.model.regression.routes=()",
    "--config.model.segmenter.modalities=()",
    "--config.train.batch=4",
    "--config.train.steps=2",
    "--config.train.eval_every=2",
    "--config.train.writers=()",
    "--config.sample.batch=4",  # all sets have as many: one program for each function
    "--config.sample.translate.steps=1",
    "--config.sample.translate.draws=2",
    "--config.sample.evaluate.examples=4",
    "--config.sample.evaluate.routes=('t1w-ct','ct-t2w')",
    "--config.sample.answer.count=24",
]


@pytest.fixture(autouse=True, scope="module")
def phantoms_made_once(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSFLOW_JAX_PHANTOMS", str(tmp_path_factory.mktemp("phantoms")))
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("synergy") / "w"
    main([*FLAGS, f"--workdir={workdir}"])
    return workdir


@pytest.fixture(scope="module")
def pictures(trained):
    """Test images of T1 as files."""
    config, _ = read(trained)
    folder = trained.parent / "t1w"
    folder.mkdir()
    for i, image in enumerate(data.load(config.data).test.arrays["t1w"][:3, ..., 0]):
        Image.fromarray(image).save(folder / f"head_{i}.png")
    return folder


def test_stages_sections_and_the_page(trained):
    stages = [name for name, _ in json.loads((trained / "stages.json").read_text())]
    assert stages == ["understand", "reconstruct", "classify"]
    found = evaluation(trained)
    assert found["sections"] == [
        *("understanding", "translation", "abstain", "classification"),
        *("calibration", "sets", "outside"),
    ]
    tasks = found["understanding"]["tasks"]
    assert set(tasks) == {"selection", "identification", "instruction"}
    assert 0 <= tasks["selection"]["letter"]["accuracy"]["value"] <= 1
    assert set(tasks["instruction"]["instruction"]["pairs"]) <= {
        f"{a}-{b}" for a in ("ct", "t1w", "t2w") for b in ("ct", "t1w", "t2w")
    } - {"ct-t2w"}
    assert [route["trained"] for route in found["translation"]["routes"]] == [False, False]
    text = (trained / "report" / "index.html").read_text()
    for words in ("Which slice is the same", "A linear probe of content tokens", "t1w to ct"):
        assert words in text, words


def test_translate(trained, pictures, tmp_path):
    translate(trained, str(pictures), "t1w", "ct", tmp_path / "plain")
    record = json.loads((tmp_path / "plain" / "translated.json").read_text())
    assert record["route"] == "zero-shot" and record["draws"] == 2
    translate(trained, str(pictures), "t1w", "ct", tmp_path / "guided", image_guidance=2.0)
    record = json.loads((tmp_path / "guided" / "translated.json").read_text())
    assert record["image_guidance"] == 2.0
    for words, says in (
        ("turn T1 into CT", "trained without words"),
        ("turn CT into T1", "no way"),
    ):
        with pytest.raises(ValueError, match=says):
            translate(trained, str(pictures), "t1w", "ct", tmp_path / "no", instruction=words)


def test_distilled_it_translates_in_jumps_and_needs_its_teacher_no_more(
    trained, pictures, tmp_path, monkeypatch
):
    monkeypatch.setattr("msflow_jax.paired.few_steps.JUMPS", (1,))  # each way is compiled
    monkeypatch.setattr("msflow_jax.paired.few_steps.REFERENCE", 2)
    teacher, student = shutil.copytree(trained, tmp_path / "teacher"), tmp_path / "student"
    with only(FAMILY, "few_steps"):
        distill([f"--workdir={teacher}", f"--output={student}"])
    shutil.rmtree(teacher)
    stages = [name for name, _ in json.loads((student / "stages.json").read_text())]
    assert stages == ["taken", "jump"]
    config = read(student)[0]
    assert (config.sample.translate.solver, config.sample.translate.steps) == ("jump", 4)
    before, now = open_workdir(trained).params, open_workdir(student).params
    assert set(now["drawing"]) == {*before["drawing"], "span_zero"}
    for part in ("content", "look", "understanding", "labels"):
        jax.tree.map(np.testing.assert_array_equal, now[part], before[part])
    translate(student, str(pictures), "t1w", "ct", tmp_path / "drawn", steps=1)
    record = json.loads((tmp_path / "drawn" / "translated.json").read_text())
    assert (record["solver"], record["steps"]) == ("jump", 1)
    found = evaluation(student)["few_steps"]
    assert found["rows"][found["reference"]]["difference"]["value"] == 0
    assert list(found["rows"]) == found["ways"] and found["samples"] > 0
    page = (student / "report" / "index.html").read_text(encoding="utf-8")
    assert "Drawn in few steps" in page and "teacher, 2 steps" in page and "PSNR, dB" in page


def test_classes_of_images_of_any_modality(trained, pictures, tmp_path):
    found = evaluation(trained)["classification"]
    count = len(data.load(read(trained)[0].data).test)
    assert found["images"] == 3 * count
    rows = classify(trained, str(pictures), tmp_path / "plain.csv", modality="t1w")
    assert len(rows) == 3 and rows[0]["class"] in open_workdir(trained).classes
    for modality, says in (("", "by --modality, of ct, t1w, t2w"), ("pet", "it has ct, t1w, t2w")):
        with pytest.raises(ValueError, match=says):
            classify(trained, str(pictures), tmp_path / "no.csv", modality=modality)
    with pytest.raises(ValueError, match="--images are of"):
        evaluate(trained, modality="t1w")
    with pytest.raises(ValueError, match="classifies nothing"):
        evaluate(trained, stage="reconstruct", by=("modality",))
    by = evaluate(trained, "val", by=("modality",), name="by")["classification"]["subgroups"]
    assert {row["value"] for row in by["modality"]} == {"ct", "t1w", "t2w"}


def test_questions_of_a_file(trained, tmp_path):
    folder = tmp_path / "asked"
    build([
        "phantoms", str(folder), "--count=12", "--subjects=40", "--side=16", "--gap=16", "--first=0.3",
        "--last=0.75", "--modalities", "ct", "t1w", "t2w", "--split=test",
    ])  # fmt: skip
    output = tmp_path / "answers.csv"
    scores = answer(trained, folder / "understanding.jsonl", output)
    rows = list(csv.DictReader(output.open()))
    assert len(rows) == 12 and list(rows[0])[:4] == ["id", "answer", "probability", "reply"]
    (letters,) = [[float(v) for k, v in row.items() if k[-1] in "ABCD"] for row in rows
                  if row["answer"] in "ABCD"][:1]  # fmt: skip
    assert sum(letters) == pytest.approx(1, abs=1e-4)
    assert scores == json.loads(output.with_suffix(".json").read_text())
    assert scores["count"] + scores["panels"]["count"] / 4 == 12
    other = answer(trained, folder / "understanding.jsonl", output, form="letter", overwrite=False)
    assert other["count"] == scores["count"]
    with pytest.raises(ValueError, match=r"is a .csv; its scores"):
        answer(trained, folder / "understanding.jsonl", tmp_path / "answers.json")
    with pytest.raises((ValueError, FileExistsError), match="config.json"):
        answer(trained, folder / "understanding.jsonl", trained / "config.csv")
    lines = (folder / "understanding.jsonl").read_text().splitlines()
    (folder / "broken.jsonl").write_text("\n".join([lines[0], "{]"]))
    with pytest.raises(ValueError, match=r"broken.jsonl:2: no JSON"):
        answer(trained, folder / "broken.jsonl", tmp_path / "other.csv")


def test_which_modality_images_show(trained, pictures, tmp_path):
    rows = identify(trained, str(pictures), tmp_path / "shown.csv")
    assert [row["name"] for row in rows] == ["head_0.png", "head_1.png", "head_2.png"]
    total = sum(rows[0][f"probability_{name}"] for name in ("ct", "t1w", "t2w"))
    assert total == pytest.approx(1, abs=1e-5)


def test_what_a_model_cannot_do_it_says(trained):
    flow = open_workdir(trained)
    for verb in ("segment", "report", "explain"):
        with pytest.raises(ValueError, match=f"cannot {verb}.*translate, answer, classify"):
            flow.require(verb)


def test_images_to_understand_are_checked_as_those_to_classify(trained):
    flow, x = open_workdir(trained), np.arange(512, dtype=np.uint8).reshape(2, 16, 16, 1)
    seen = flow.content(x)
    assert np.isfinite(seen).all()
    np.testing.assert_allclose(flow.content(x[..., 0] / 127.5 - 1), seen, atol=1e-4)
    for verb in (flow.content, flow.identify, lambda y: flow.answer({"image_0": y})):
        with pytest.raises(ValueError, match="float images must lie in"):
            verb(x.astype(np.float32))
        with pytest.raises(ValueError, match="fill it first"):
            verb(np.ma.masked_array(x, x > 9))
