"""The service in this process: what it answers is what the commands say."""

import base64
import csv
import hashlib
import io
import re
import threading
from concurrent.futures import Future

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette")
from starlette.requests import ClientDisconnect

from msflow_jax.inference import standing_drawings
from msflow_jax.serving.answers import Asked
from msflow_jax.serving.near import Nearest
from msflow_jax.serving.parameters import read_parameters
from msflow_jax.serving.service import Service
from tests.commands.conftest import send


def pixels(address):
    head, _, body = address.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


def test_it_says_what_classify_says(client, files, trained, command, tmp_path):
    table = tmp_path / "p.csv"
    done = command(
        "classify", f"--workdir={trained}", f"--images={files[0].parent}", f"--output={table}",
        "--coverage=0.9",
    )  # fmt: skip
    assert done.status == 0
    with table.open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    for file in (one for one in files if one.parent == files[0].parent):
        found, row = send(client, file, coverage=0.9).json(), rows[file.name]
        (image,) = found["images"]
        assert image["class"] == row["class"] and found["evaluation"] == row["evaluation"]
        assert not any("\n" in line for line in found["warnings"])
        for name, p in image["probability"].items():
            assert p == pytest.approx(float(row[f"p_{name}"]), abs=2e-6)
        for name, value in image["uncertainty"].items():
            assert value == pytest.approx(float(row[f"uncertainty_{name}"]), rel=1e-3, abs=1e-5)
        assert image["abstain"] == bool(int(row["abstain"])) == bool(image["reason"])
        assert image["reason"] == row["reason"]
        assert image["outside"] == pytest.approx(float(row["outside"]))
        assert image["set"] == [name for name in row["set"].split("|") if name]
        seen = pixels(image["picture"])
        assert (seen[..., 0] == np.asarray(Image.open(file))).all()
        near = image["nearest"]
        assert len(near) == 3 and near[0]["cosine"] >= near[2]["cosine"]
        assert {one["class"] for one in near} <= set(image["probability"])


def test_what_is_of_sets_alone_is_named_without_them(client, files):
    usual = send(client, files[0]).json()["warnings"]
    line, *others = send(client, files[0], by_class=1, score="lac").json()["warnings"]
    assert line == "warning: score and by_class: of sets, for which no coverage was given"
    assert others == usual
    assert send(client, files[0], by_class=0, score="aps").json()["warnings"] == usual


def test_requests_at_once_are_answered_as_one_by_one(client, files):
    alone = [send(client, file).json()["images"][0] for file in files[:5]]
    together: list = [None] * 5

    def ask(i):
        together[i] = send(client, files[i]).json()["images"][0]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(5)]
    [one.start() for one in threads], [one.join() for one in threads]
    for one, other in zip(alone, together, strict=True):
        assert one["name"] == other["name"] and one["picture"] == other["picture"]
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)


def test_of_one_batch_each_gets_his_own(service, files, tmp_path):
    pile = tmp_path / "pile.npz"
    np.savez(pile, images=np.stack([np.asarray(Image.open(file)) for file in files[3:6]]))
    given = read_parameters("classify", [("near", "0")])

    def ask(content, name):
        return Asked({**given, "name": name}, content)

    asked = [
        ask(files[0].read_bytes(), "a.png"), ask(b"no picture", "b.png"),
        ask(pile.read_bytes(), "c.npz"), ask(files[-1].read_bytes(), "d.png"),
    ]  # fmt: skip
    kind = service.kind("classify", given)
    first, broken, several, last = service.do(kind, asked)
    assert isinstance(broken, ValueError) and "b.png" in str(broken)
    assert [len(one["images"]) for one in (first, several, last)] == [1, 3, 1]
    alone = service.flow.classify(np.stack([np.asarray(Image.open(file)) for file in files]))
    rows = [0, 3, 4, 5, len(files) - 1]
    for image, row in zip(
        [*first["images"], *several["images"], *last["images"]], rows, strict=True
    ):
        p = dict(zip(service.flow.classes, alone.probability[row], strict=True))
        assert image["probability"] == pytest.approx(p, abs=1e-5)
        assert (pixels(image["picture"])[..., 0] == np.asarray(Image.open(files[row]))).all()


def test_an_image_that_the_network_fails_at_fails_alone(service, files, monkeypatch):
    flow = service.flow

    class Failing:
        def __getattr__(self, name):
            return getattr(flow, name)

        def classify(self, images, **given):
            if len(images) > 1 or (images[0, ..., 0] == np.asarray(Image.open(files[0]))).all():
                raise FloatingPointError("not finite")
            return flow.classify(images, **given)

    failing = Service(Failing())
    given = read_parameters("classify", [])
    asked = [Asked({**given, "name": file.name}, file.read_bytes()) for file in files[:3]]
    found = failing.do(failing.kind("classify", given), asked)
    assert [isinstance(one, FloatingPointError) for one in found] == [True, False, False]


def test_other_training_images_are_not_taken_for_those(service):
    import dataclasses

    known = service.flow.calibration.familiar
    turned = dataclasses.replace(known, bank=known.bank[::-1])
    calibration = dataclasses.replace(service.flow.calibration, familiar=turned)
    with pytest.raises(ValueError, match="other training images"):
        Nearest.of(dataclasses.replace(service.flow, calibration=calibration))


def test_who_leaves_while_he_waits_is_given_up(service):
    import asyncio

    from msflow_jax.serving.app import _awaited

    class Gone:
        async def receive(self):
            return {"type": "http.disconnect"}

    async def leave():
        future = Future()
        with pytest.raises(ClientDisconnect):
            await _awaited(Gone(), future)
        await asyncio.sleep(0)
        assert future.cancelled()

    asyncio.run(leave())


def test_drawing_is_by_the_seed(client, service):
    ask = {"label": "dark", "count": 3, "seed": 5}
    found = client.post("/generate", params=ask).json()
    drawn = service.flow.generate("dark", 4, seed=5)
    shown = [pixels(one)[..., 0] for one in found["pictures"]["dark"]]
    assert len(shown) == 3 and all(
        (a == b[..., 0]).all() for a, b in zip(shown, drawn, strict=False)
    )
    assert client.post("/generate", params=ask).json() == found
    assert client.post("/generate", params={**ask, "seed": 6}).json() != found


def test_the_seed_of_drawings_is_as_configured(client, service, monkeypatch):
    ask = {"label": "dark", "count": 3}
    usual = client.post("/generate", params={**ask, "seed": 0}).json()
    assert client.post("/generate", params=ask).json() == usual
    monkeypatch.setitem(service.flow.config.sample, "seed", 5)
    found = client.post("/generate", params={**ask, "seed": 5}).json()
    assert client.post("/generate", params=ask).json() == found != usual


def test_drawings_carry_what_generate_prints(client, trained, command, monkeypatch, tmp_path):
    monkeypatch.setattr(standing_drawings, "warnings_of_drawing", lambda *of: ["Grain.", "Copies."])
    given = "generate", f"--workdir={trained}", "--count=1", f"--output={tmp_path / 'g'}"
    done = command(*given)
    printed = [line for line in done.err.splitlines() if line.startswith("warning: evaluation")]
    found = client.post("/generate", params={"label": "dark"}).json()["warnings"]
    assert len(found) == 2 and printed == [f"warning: {line}" for line in found]


def test_the_page_needs_no_other_place(client):
    found = client.get("/")
    assert not re.search(r"https?:|src=\"(?!data:)|[\"'(]//|@import|url\(", found.text)
    policy = found.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    for kind in ("script", "style"):
        (text,) = re.findall(rf"<{kind}>(.*?)</{kind}>", found.text, re.S)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "not a medical device" in found.text
    assert (
        'style="' not in found.text and " on" + "click" not in found.text
    )  # the policy forbids them


def test_counts_hold_nothing_of_what_was_sent(client, files):
    send(client, files[0])
    text = client.get("/metrics").text
    assert 'msflow_requests_total{endpoint="classify",status="200"}' in text
    assert files[0].name not in text
