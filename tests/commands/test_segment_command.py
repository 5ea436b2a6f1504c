"""`msflow segment` on a model of masks: files on the grid of the images, table, record, refusals."""

import base64
import csv
import io
import json

import nibabel
import numpy as np
import pytest
from PIL import Image

import msflow_jax
from msflow_jax.evaluation.measures import COUNTS, MEASURES
from tests.commands.conftest import evaluation
from tests.data.sources.masks.test_masks import AFFINE, fill
from tests.test_reference import numbers


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    root = fill(tmp_path_factory.mktemp("volumes"), ".nii.gz", (10, 12, 4))
    (root / "classes.txt").write_text("background\n=organ\nlesion\n", encoding="utf-8")
    return root


@pytest.fixture
def trained(volumes, config_file, tmp_path_factory, command):
    workdir = tmp_path_factory.getbasetemp() / "of_masks"
    if not workdir.exists():
        out = command(
            "train", f"--config={config_file}", f"--workdir={workdir}", "--config.data.name=masks",
            f"--config.data.root={volumes}", "--config.data.side=8", "--config.model.task=segment",
            "--config.train.steps=2",
        )  # fmt: skip
        assert out.status == 0, out.err
    return workdir


def table(folder):
    with (folder / "segmented.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_volumes_are_segmented_on_their_own_grid(trained, volumes, command, tmp_path):
    given = [f"--workdir={trained}", f"--images={volumes / 'images'}", "--resize", "--draws=2"]
    out = command("segment", *given, f"--output={tmp_path / 'a'}", "--seed=3")
    assert out.status == 0, out.err
    assert "11 segmented, 3 classes" in out.out
    rows = table(tmp_path / "a")
    assert [row["name"] for row in rows] == [f"case{i:02d}.nii.gz" for i in range(11)]
    row = rows[4]
    mask = nibabel.load(tmp_path / "a" / row["masks"])
    np.testing.assert_array_equal(mask.affine, AFFINE)
    assert mask.shape == (10, 12, 4) and mask.get_data_dtype() == np.uint8
    values = np.asarray(mask.dataobj)
    for k, name in enumerate(("background", "=organ", "lesion")):
        # A cell that a spreadsheet would take for a formula has an apostrophe before it.
        key = next(column for column in row if column.lstrip("'") == f"{name} (pixels)")
        assert int(row[key]) == (values == k).sum()
        volume = next(column for column in row if column.lstrip("'") == f"{name} (mm3)")
        assert float(row[volume]) == pytest.approx(4.5 * (values == k).sum())
    unsure = np.asarray(nibabel.load(tmp_path / "a" / row["uncertainty"]).dataobj)
    assert unsure.shape == mask.shape and 0 <= unsure.min() <= unsure.max() <= 1
    assert float(row["mean_uncertainty"]) == pytest.approx(unsure.mean(), abs=1e-3)
    assert Image.open(tmp_path / "a" / row["overlays"]).mode == "RGB"
    record = json.loads((tmp_path / "a" / "segmented.json").read_text(encoding="utf-8"))
    assert record["draws"] == 2 and record["seed"] == 3 and "entropy" in record["uncertainty"]
    assert [one["number"] for one in record["classes"]] == [0, 1, 2] and len(record["images"]) == 11
    # Replaced by the same command, not where the user added a file.
    assert command("segment", *given, f"--output={tmp_path / 'a'}", "--seed=3").status == 0
    np.testing.assert_array_equal(nibabel.load(tmp_path / "a" / row["masks"]).dataobj, values)
    (tmp_path / "a" / "notes.txt").write_text("mine", encoding="utf-8")
    out = command("segment", *given, f"--output={tmp_path / 'a'}")
    assert out.status == 2 and "notes.txt" in out.err


def test_pictures_have_their_own_size_and_others_are_refused(trained, command, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "given").mkdir()
    for i, space in enumerate(((20, 30), (8, 8))):
        values = rng.integers(0, 250, space).astype(np.int32)
        Image.fromarray(values.astype(np.uint16)).save(tmp_path / "given" / f"{i}.png")
    exif = Image.Exif()
    exif[274] = 6  # shown turned by a quarter
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "given" / "2.png", exif=exif)
    given = [f"--workdir={trained}", f"--images={tmp_path / 'given'}", f"--output={tmp_path / 'o'}"]
    out = command("segment", *given, "--no-resize")
    assert out.status == 2 and "0.png is 20 x 30, the model reads 8 x 8" in out.err
    with pytest.warns(UserWarning) as told:
        out = command("segment", *given, "--resize")
    assert out.status == 0, out.err
    assert [str(one.message).split()[0] for one in told if "EXIF" in str(one.message)] == ["2.png"]
    first, second, _ = table(tmp_path / "o")
    for row, space in ((first, (20, 30)), (second, (8, 8))):
        mask = np.asarray(Image.open(tmp_path / "o" / row["masks"]))
        assert mask.shape == space and mask.dtype == np.uint8 and mask.max() < 3
        for name in ("overlays", "uncertainty"):
            assert Image.open(tmp_path / "o" / row[name]).size == space[::-1]
        assert row["background (mm2)"] == ""
    out = command("segment", *given[:2], f"--output={tmp_path / 'given'}", "--resize")
    assert out.status == 2 and "is read by this command" in out.err


@pytest.fixture
def client(trained):
    pytest.importorskip("starlette")
    from starlette.testclient import TestClient

    from msflow_jax.serving.app import Limits, build_app
    from msflow_jax.serving.service import Service
    from msflow_jax.workdir import open_workdir

    app = build_app(Service(open_workdir(trained)), Limits())
    with TestClient(app, "http://127.0.0.1:8000") as found:
        assert 'value="heun"' in (page := found.get("/").text) and 'value="jump"' not in page
        yield found


def sent(client, file, **given):
    return client.post("/segment", params={"name": file.name, **given}, content=file.read_bytes())


def content(address, kind="image/png"):
    head, _, body = address.partition(",")
    assert head == f"data:{kind};base64"
    return base64.b64decode(body)


def test_the_service_says_what_the_command_writes(client, trained, volumes, command, tmp_path):
    (tmp_path / "given").mkdir()
    values = np.random.default_rng(0).integers(0, 250, (20, 30)).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "given" / "scan.png")
    for file in (tmp_path / "given" / "scan.png", volumes / "images" / "case04.nii.gz"):
        folder = tmp_path / file.name
        out = command(
            "segment", f"--workdir={trained}", f"--images={file}", f"--output={folder}", "--resize"
        )
        assert out.status == 0, out.err
        (row,), answer = table(folder), sent(client, file).json()
        (image,) = answer["images"]
        assert any(line.startswith(f"resized: {file.name}") for line in answer["warnings"])
        assert not any("/" in line for line in answer["warnings"])
        assert image["name"] == row["name"]
        assert content(image["overlay"]) == (folder / row["overlays"]).read_bytes()
        if file.suffix == ".png":
            assert image["mask_name"] == "scan_mask.png" and image["unit"] == "mm2"
            assert content(image["mask"]) == (folder / row["masks"]).read_bytes()
            assert content(image["uncertainty"]) == (folder / row["uncertainty"]).read_bytes()
        else:
            assert image["mask_name"] == "case04_mask.nii.gz" and image["unit"] == "mm3"
            (tmp_path / "mask.nii.gz").write_bytes(content(image["mask"], "application/gzip"))
            mask, written = (
                nibabel.load(path) for path in (tmp_path / "mask.nii.gz", folder / row["masks"])
            )
            np.testing.assert_array_equal(mask.affine, written.affine)
            np.testing.assert_array_equal(mask.dataobj, written.dataobj)
            planes = Image.open(io.BytesIO(content(image["uncertainty"])))
            assert planes.size == Image.open(folder / row["overlays"]).size
        known = json.loads((folder / "segmented.json").read_text(encoding="utf-8"))["classes"]
        assert [{k: one[k] for k in ("name", "colour")} for one in image["classes"]] == [
            {k: one[k] for k in ("name", "colour")} for one in known
        ]
        columns = {column.lstrip("'"): value for column, value in row.items()}
        for one in image["classes"]:
            assert one["pixels"] == int(columns[f"{one['name']} (pixels)"])
            size = columns[f"{one['name']} ({image['unit']})"]
            assert one["size"] == (pytest.approx(float(size)) if size else None)
        assert sum(one["share"] for one in image["classes"]) == pytest.approx(1)
        assert image["mean_uncertainty"] == pytest.approx(float(row["mean_uncertainty"]), abs=1e-4)


def test_what_the_service_refuses_of_a_model_of_masks(client, volumes, tmp_path, monkeypatch):
    assert client.get("/health").json()["endpoints"] == ["segment"]
    found = client.post("/classify", params={"name": "x.png"}, content=b"x")
    assert found.status_code == 404 and "it has /segment" in found.json()["error"]
    file = volumes / "images" / "case00.nii.gz"
    (tmp_path / "scan.png").write_bytes(b"no picture")
    found = sent(client, tmp_path / "scan.png")
    assert found.status_code == 400 and "scan.png is not an image" in found.json()["error"]
    assert "resize=1 brings it there" in sent(client, file, resize=0).json()["error"]
    assert "draws must be one of" in sent(client, file, draws=3).json()["error"]
    monkeypatch.setattr("msflow_jax.serving.masks.MOST_PIXELS", 479)
    found = sent(client, file)
    assert found.status_code == 400 and "has 480 pixels, and one" in found.json()["error"]
    assert "/tmp" not in found.text and client.get("/health").json()["status"] == "ok"
    page = client.get("/").text
    assert 'id="segment-file"' in page and "Segment an image" in page and "#classify" not in page


def test_the_library_the_evaluation_and_its_report(trained, volumes, command):
    flow = msflow_jax.open(trained)
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), np.uint8)
    maps = flow.segment(images, draws=2)
    found = flow.segment_uncertainly(images, draws=2)
    assert maps.dtype == np.uint8 and maps.shape == (3, 8, 8)
    np.testing.assert_array_equal(maps, found.maps)
    assert found.uncertainty.dtype == np.float32 and found.uncertainty.shape == (3, 8, 8)
    assert 0 <= found.uncertainty.min() <= found.uncertainty.max() <= 1
    block = evaluation(trained)["segmentation"]
    assert block["unit"] == "mm" and list(block["classes"]) == ["background", "=organ", "lesion"]
    assert len(block["uncertainty"]["bins"]) == 10
    known = {name for part in MEASURES.values() for name in part} | COUNTS
    for path in numbers(block):
        assert known & set(path[-2:]), path
    page = (trained / "report" / "index.html").read_text(encoding="utf-8")
    for words in ("Dice by image", "HD95 mm", "Errors by uncertainty", "prediction of images/case"):
        assert words in page
    out = command("evaluate", f"--workdir={trained}", "--by=volume", "--name=by")
    assert out.status == 2 and "classifies nothing" in out.err
