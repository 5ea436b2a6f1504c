"""Questions on images that are sent: what is said is what the command's own way says."""

import dataclasses
import io
import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("tokenizers")
from starlette.testclient import TestClient

from msflow_jax.inference.answered import read_pictures, replies_to
from msflow_jax.inference.calibration import Calibration
from msflow_jax.inference.flow import Flow
from msflow_jax.serving.app import Limits, build_app
from msflow_jax.serving.service import Service
from msflow_jax.synergy.family import FAMILY
from tests.commands.browsing import ADDRESS, browsing, opened
from tests.synergy import tiny

NAMES = tuple(tiny.NAMES)


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    """A model of random parameters that was taught to say what images show, and no instructions."""
    model = dataclasses.replace(tiny.model(), taught=("selection", "identification"))
    return Flow(
        tmp_path_factory.mktemp("flow"), tiny.config(), tiny.splits().info, FAMILY, tiny.parts(),
        model, tiny.params(), 2, Calibration(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def client(flow):
    with TestClient(build_app(Service(flow), Limits()), "http://127.0.0.1:8000") as found:
        yield found


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Five files of the model's size."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    files = [folder / f"{name}.png" for name in ("reference", "a", "b", "c", "d")]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (tiny.SIDE, tiny.SIDE), np.uint8)).save(file)
    return files


def send(client, files, **given):
    form = [("image", (file.name, file.read_bytes())) for file in files]
    return client.post("/answer", params=given, files=form)


def test_which_modality_images_show(client, flow, pictures):
    found = send(client, pictures).json()
    chances = flow.identify(read_pictures(flow, pictures))
    assert [image["name"] for image in found["images"]] == [file.name for file in pictures]
    for image, row in zip(found["images"], chances, strict=True):
        assert image["modality"] == NAMES[int(row.argmax())]
        given = dict(zip(NAMES, row.tolist(), strict=True))
        assert image["probability"] == pytest.approx(given, abs=1e-5)
    alone = client.post(
        "/answer", params={"name": "reference.png"}, content=pictures[0].read_bytes()
    )
    (image,) = alone.json()["images"]
    assert image["probability"] == pytest.approx(found["images"][0]["probability"], abs=1e-5)


def test_a_selection_is_answered_as_one_of_a_file(client, flow, pictures):
    target = NAMES[1]
    found = {
        form: send(client, pictures, task="selection", target=target, form=form).json()
        for form in ("direct", "letter")
    }
    line = {
        "image": [file.name for file in pictures],
        "conversations": [
            {"from": "human", "value": "<image>" * 5 + found["direct"]["question"]},
            {"from": "gpt", "value": "B"},
        ],
    }
    path = pictures[0].with_name("asked.jsonl")
    path.write_text(json.dumps(line), encoding="utf-8")
    asked = flow.parts.read(path, lambda files: read_pictures(flow, files), flow.model)
    for form, one in found.items():
        (said,) = replies_to(flow, asked, form)
        assert one["answer"] == said["answer"] and one["probability"] == said["probability"]
        assert [of["letter"] for of in one["options"]] == [*"ABCD"]
        for of in one["options"]:
            assert of["probability"] == said[f"probability_{of['letter']}"]
        assert one["options"][0]["words"] == "image A"
        assert [image["place"] for image in one["images"]][:2] == ["the reference image", "image A"]
        assert flow.model.modalities[target].word in one["question"] and one["warnings"] == []


def test_panels_are_named_and_an_instruction_is_chosen(client, flow, pictures):
    found = send(client, pictures[1:], task="identification").json()
    named = json.loads(found["answer"])
    assert [named[k] for k in "ABCD"] == [image["modality"] for image in found["images"]]
    for image in found["images"]:
        assert sum(image["probability"].values()) == pytest.approx(1, abs=1e-5)
        assert tuple(image["probability"]) == flow.model.words
    assert found["options"] == []
    a, b, c = NAMES[:3]
    routes = f"{a}-{b},{b}-{a},{b}-{c},{c}-{b}"
    found = send(client, pictures[:2], task="instruction", options=routes).json()
    assert sum(one["probability"] for one in found["options"]) == pytest.approx(1, abs=1e-5)
    words = [flow.model.modalities[name].word for name in (b, c)]
    assert found["options"][2]["words"] == f"turn {words[0]} into {words[1]}"
    assert any("never taught instruction" in line for line in found["warnings"])
    usual = send(client, pictures[:2], task="instruction").json()
    assert len({one["words"] for one in usual["options"]}) == 4


@pytest.mark.parametrize(
    ("count", "given", "words"),
    [
        (5, {"task": "poem"}, "unknown task 'poem': choose one of modality, selection"),
        (4, {"task": "selection", "target": NAMES[0]}, "selection is asked of 5 images"),
        (5, {"task": "selection"}, "target is missing: choose one of"),
        (5, {"task": "selection", "target": "xray"}, "unknown target 'xray'"),
        (2, {"task": "instruction", "options": "x-y"}, "four different routes"),
    ],
)
def test_what_cannot_be_asked(client, pictures, count, given, words):
    refused(send(client, pictures[:count], **given), words)


@pytest.mark.parametrize(
    ("count", "task", "own", "others"),
    [
        (5, "modality", (), ("target", "options", "form")),
        (5, "selection", ("target", "form"), ("options",)),
        (4, "identification", ("form",), ("target", "options")),
        (2, "instruction", ("form",), ("target",)),
    ],
)
def test_what_is_given_for_another_task_is_named(client, pictures, count, task, own, others):
    every = {"target": NAMES[1], "options": "x-y", "form": "letter"}

    def said(*names):
        given = {name: every[name] for name in names}
        found = send(client, pictures[-count:], task=task, **given).json()
        return [line for line in found["warnings"] if "of other tasks" in line]

    assert said(*own) == []
    assert said(*own, *others) == [f"{' and '.join(others)}: of other tasks than {task}"]


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("", b"--x--", "the form cannot be read: Missing boundary"),
        ("; boundary=x", b"garbage--", ""),
        ("; boundary=x", b"--x--", "the form holds no file"),
        (
            "; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="task"\r\n\r\nselection\r\n--x--',
            "the form cannot be read: Too many fields",
        ),
        (
            "; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"; filename="a.png"\r\n\r\nabc',
            "the form cannot be read: it has no end",
        ),
    ],
)
def test_forms_that_are_none(client, kind, body, words):
    headers = {"content-type": f"multipart/form-data{kind}"}
    refused(client.post("/answer", content=body, headers=headers), words)


def refused(found, words):
    assert found.status_code == 400
    line = found.json()["error"]
    assert words in line and "/tmp" not in line and "\n" not in line


def test_wrong_files_and_a_form_where_none_belongs(client, pictures, tmp_path):
    (tmp_path / "b.png").write_bytes(b"no picture")
    wrong = [pictures[0], tmp_path / "b.png"]
    refused(send(client, wrong, task="instruction"), "b.png is not an image")
    image = io.BytesIO()
    Image.fromarray(np.zeros((12, 12), np.uint8)).save(image, "PNG")
    (tmp_path / "reference.png").write_bytes(image.getvalue())
    same = [pictures[0], tmp_path / "reference.png"]  # of one name, and of two sizes
    found = send(client, same, task="instruction").json()
    assert [one["name"] for one in found["images"]] == ["reference.png"] * 2
    assert "resized: 1_reference.png is 12 x 12, the model reads 8 x 8 images" in found["warnings"]
    refused(send(client, same, task="instruction", resize=0), "resize=1 brings it there")
    form = [("image", (same[0].name, same[0].read_bytes()))]
    refused(client.post("/translate", files=form), "not a form")
    found = client.post("/segment", content=b"x")
    assert found.status_code == 404 and "/translate, /answer" in found.json()["error"]


def test_the_page_asks_for_what_the_task_takes(client):
    script = "String(query(forms.get('answer'), [{name: 'a.png'}]))"
    with browsing() as browser, opened(browser, ADDRESS, client) as page:
        page.click("#answer summary")
        for task, names in {
            "modality": [], "selection": ["target", "form"], "identification": ["form"],
            "instruction": ["options", "form"],
        }.items():  # fmt: skip
            page.select_option("#answer-task", task)
            shown = [n for n in ("target", "options", "form") if page.is_visible(f"#answer-{n}")]
            assert shown == names
            sent = {"target": f"target={NAMES[0]}", "form": "form=direct"}
            asked = {f"task={task}", *(sent[name] for name in names if name in sent)}
            assert set(page.evaluate(script).split("&")) == asked


def test_the_page_asks_for_several_images(client):
    page = client.get("/").text
    assert 'id="answer-file" class="file" multiple' in page
    assert '<option value="identification">' in page and 'id="answer-target"' in page
