"""The same commands for a coupling flow: nothing in the loop knows the family."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from msflow_jax import data
from tests.commands.browsing import ADDRESS, answering, browsing, opened
from tests.commands.conftest import evaluation, fill, quickly

CONFIG = """
from msflow_jax.config import default_config
from msflow_jax.coupling.recipes import magic


def get_config():
    config = magic(default_config("coupling"), "cpu")
    config.data.name = "folder"
    config.model.layout = "foreground:1 squeeze channel:1 split checkerboard:1"
    config.model.conditioner.width = 4
    config.train.update({"steps": 4, "batch": 8, "eval_every": 2, "log_every": 1, "balanced": True})
    config.sample.batch = 8
    config.sample.generate.per_class = 6
    return config
"""


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("strangers"), seed=5, side=12)


@pytest.fixture(scope="module")
def workdir(pictures, tmp_path_factory):
    """Workdir of a whole run: trained, evaluated, reported."""
    from msflow_jax.commands.train import main

    folder = tmp_path_factory.mktemp("coupling")
    config = folder / "tiny.py"
    config.write_text(CONFIG)
    with quickly():
        main(
            [f"--config={config}", f"--workdir={folder / 'run'}", f"--config.data.root={pictures}"]
        )
    return folder / "run"


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_run_measures_likelihoods_and_calibrates(workdir):
    found = evaluation(workdir)
    assert found["family"] == "coupling"
    assert found["likelihood"]["sets"] == ["train", "test"]
    assert found["calibration"]["fitted_on"] == "val"
    assert "evidence" in found["abstain"]
    logged = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert any("val_bits" in row for row in logged)
    assert "bits per dimension" in (workdir / "report" / "index.html").read_text()


def test_the_mask_is_kept_in_the_workdir(workdir):
    mask = np.asarray(Image.open(workdir / "mask.png"))
    assert mask.shape == (8, 8)
    assert set(np.unique(mask)) <= {0, 255}


def test_images_from_outside_are_scored(command, workdir, strangers):
    given = f"--workdir={workdir}", "--split=val"
    out = command("evaluate", *given, f"--outside={strangers / 'test' / 'dark'}")
    assert out.status == 0, out.err
    found = evaluation(workdir, "val")["likelihood"]
    assert found["sets"] == ["train", "val", "dark"]
    assert found["outside"] == ["dark"]
    out = command("evaluate", *given, "--name=x", f"--outside={strangers / 'test'}")
    assert out.status == 2 and "'test' would name two sets" in out.err


def test_classify_adds_the_likelihood(command, workdir, pictures, tmp_path):
    output = tmp_path / "p.csv"
    out = command(
        "classify", f"--workdir={workdir}", f"--images={pictures / 'test'}", f"--output={output}",
        "--measure=evidence",
    )  # fmt: skip
    assert out.status == 0, out.err
    table = rows(output)
    assert len(table) == 12
    for row in table:
        bits = -float(row["log_likelihood"]) / (8 * 8 * np.log(2))
        assert float(row["bits_per_dimension"]) == pytest.approx(bits, abs=1e-4)
    assert "uncertainty_evidence" not in table[0]  # the same quantity would stand twice
    assert {row["abstain"] for row in table} <= {"0", "1"}


def test_generate_takes_a_temperature_and_no_guidance(command, workdir, tmp_path):
    given = f"--workdir={workdir}", "--count=2", f"--output={tmp_path}"
    out = command("generate", *given, "--temperature=0.7")
    assert out.status == 0, out.err
    record = json.loads((tmp_path / "generated.json").read_text())
    assert record["temperature"] == 0.7 and "solver" not in record
    out = command("generate", *given, "--guidance=2")
    assert out.status == 2
    assert "generate of this model has no guidance: its settings are temperature" in out.err
    out = command("evaluate", f"--workdir={workdir}", "--steps=3")
    assert out.status == 2 and "classify of this model has no steps" in out.err


def test_explain_writes_maps_that_add_up(command, workdir, pictures, tmp_path):
    out = command(
        "explain", f"--workdir={workdir}", f"--images={pictures / 'test'}", f"--output={tmp_path}"
    )
    assert out.status == 0, out.err
    table = rows(tmp_path / "explained.csv")
    with np.load(tmp_path / "maps.npz", allow_pickle=False) as maps:
        assert maps["map"].shape == maps["log_ratio"].shape == (12, 8, 8)
        sums = maps["log_ratio"].sum(axis=(1, 2))
        assert maps["names"].tolist() == [row["name"] for row in table]
        whole = maps["map"].sum(axis=(1, 2), dtype=np.float64)
    np.testing.assert_allclose(
        whole, [float(r["log_likelihood_of_class"]) for r in table], atol=1e-2
    )
    said = f"--images={pictures / 'test'}", f"--output={tmp_path / 'p.csv'}"
    assert command("classify", f"--workdir={workdir}", *said).status == 0
    for here, there in zip(table, rows(tmp_path / "p.csv"), strict=True):
        assert here["log_likelihood"] == there["log_likelihood"]
    np.testing.assert_allclose(sums, [float(r["log_likelihood_ratio"]) for r in table], atol=1e-3)
    assert all((tmp_path / row["file"]).is_file() for row in table)
    assert all(row["class"] != row["against"] for row in table)


def test_explain_can_be_asked_about_two_classes(command, workdir, pictures, tmp_path):
    given = f"--workdir={workdir}", f"--images={pictures / 'test'}", f"--output={tmp_path}"
    assert command("explain", *given, "--label=dark", "--against=1").status == 0
    table = rows(tmp_path / "explained.csv")
    assert {(row["class"], row["against"]) for row in table} == {("dark", "very bright")}
    out = command("explain", *given, "--label=dark", "--against=dark")
    assert out.status == 2 and "both dark" in out.err


def test_a_symmetric_flow_has_no_likelihood(command, trained, copied, pictures, tmp_path):
    given = f"--images={pictures}", f"--output={tmp_path / 'out'}"
    out = command("explain", f"--workdir={trained}", *given)
    assert out.status == 2 and "no likelihood to explain: train a coupling flow" in out.err
    assert "of msflow configs; this one can classify, generate" in out.err
    # But it tells images from outside.
    out = command("evaluate", f"--workdir={copied}", f"--outside={pictures / 'test'}", "--name=x")
    assert out.status == 2 and "would name two sets" in out.err
    more = f"--outside={pictures / 'test' / 'dark'}"
    out = command("evaluate", f"--workdir={copied}", more, "--name=x")
    assert out.status == 0, out.err
    found = evaluation(copied, "x")["outside"]
    assert list(found["sets"]) == ["other scanner", "noise", "texture", "dark"]
    assert found["used"] == ["flow_error", "picture_spread", "mahalanobis", "neighbour"]
    assert 0 <= found["rejected"] <= 1
    assert {"outside", "distance"} <= set(found["sets"]["dark"]["measures"])
    assert "Images from outside" in (copied / "report" / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def flow(workdir):
    from msflow_jax.workdir import open_workdir

    return open_workdir(workdir)


@pytest.fixture(scope="module")
def client(flow):
    with answering(flow) as found:
        yield found


def test_a_service_shows_why(client, flow, strangers):
    assert client.get("/health").json()["endpoints"] == ["classify", "explain", "generate"]
    file = next((strangers / "test" / "dark").glob("*.png"))

    def ask(content, status=200, **given):
        answer = client.post("/explain", params=given, content=content)
        assert answer.status_code == status, answer.text
        return answer.json()

    found = ask(file.read_bytes(), name="a.png", against="dark")
    (image,) = found["images"]
    assert found["warnings"] == ["resized: a.png is 12 x 12, the model reads 8 x 8 images"]
    assert {image["class"], image["against"]} == {"dark", "very bright"}
    assert image["picture"].startswith("data:image/png")
    pixels, names = data.read_images(file, flow.info, resize=True)
    assert image["prediction"] == flow.classify(pixels).names[0] and len(names) == 1
    page = client.get("/").text
    assert 'id="generate-steps"' not in page and 'id="generate-temperature"' in page
    chosen = r'id="explain-label"[^>]*>\s*<option value="" selected>'  # the prediction
    assert re.search(chosen, page)
    for content, given, words in (
        (file.read_bytes(), {"label": "dark", "against": "dark"}, "choose two"),
        (file.read_bytes(), {"label": "grey"}, "grey"),
        (b"no image", {"name": "a.png"}, "a.png is not an image"),
        (b"", {"name": "a.png"}, "no image was sent"),
    ):
        told = ask(content, 400, **given)["error"]
        assert words in told and "\n" not in told, told


def test_a_prediction_is_explained_in_a_browser(client, strangers):
    file = next((strangers / "test" / "dark").glob("*.png"))
    sent = {file.name: file.read_bytes()}
    with browsing() as browser, opened(browser, ADDRESS, client, sent) as page:
        page.set_input_files("#classify-file", file)
        page.wait_for_selector("#classify .card")
        page.click("text=Show why")
        page.wait_for_selector("#explain .card img")
        said = page.inner_text("#explain .card")
        assert "nats" in said and "dark" in said and "very bright" in said
        width = page.evaluate("document.querySelector('#explain .card img').naturalWidth")
        assert width > 500  # image, map and ratio side by side, with their scales


def test_an_explanation_of_a_run_of_several_draws_is_of_the_first(
    command, workdir, pictures, tmp_path
):
    """The likelihood beside the maps was the mean over draws, and so was the class."""
    run = shutil.copytree(workdir, tmp_path / "run")
    out = command("evaluate", f"--workdir={run}", "--draws=4", "--name=several", "--adopt")
    assert out.status == 0, out.err
    given = f"--workdir={run}", f"--images={pictures / 'test'}"
    tables = []
    for k in range(2):
        output = f"--output={tmp_path / str(k)}"
        assert command("explain", *given, f"--label={k}", output).status == 0
        tables.append(rows(tmp_path / str(k) / "explained.csv"))
    counts = json.loads((run / "manifest.json").read_text())["data"]["counts"]
    sums = np.array([[float(row["log_likelihood_of_class"]) for row in one] for one in tables])
    joint = sums + np.log(np.array(counts) / sum(counts))[:, None]
    said = [float(row["log_likelihood"]) for row in tables[0]]
    np.testing.assert_allclose(np.logaddexp.reduce(joint), said, atol=5e-3)
    output = f"--output={tmp_path / 'one.csv'}"
    assert command("classify", *given, "--draws=1", output).status == 0
    one = rows(tmp_path / "one.csv")
    for here, there in (("class", "prediction"), ("log_likelihood", "log_likelihood")):
        assert [row[here] for row in one] == [row[there] for row in tables[0]]
