"""MedM2G translates: files, volumes slice by slice, through the service and in a browser."""

import gzip
import json

import numpy as np
import pytest
from PIL import Image

from msflow_jax.commands.translate import translate
from msflow_jax.data.phantoms.reports import stated
from msflow_jax.data.sources.nifti.reading import read_nifti
from msflow_jax.data.sources.nifti.writing import write_nifti
from msflow_jax.data.sources.volumes.orientation import centred_affine
from tests.commands.browsing import ADDRESS, LOADED, answering, browsing, opened
from tests.commands.conftest import evaluation

pytest.importorskip("tokenizers")


def test_a_translation_as_files(trained, pictures, tmp_path, capsys):
    folder, _ = pictures
    translate(trained, str(folder), "t1w", "ct", tmp_path / "out", draws=3, seed=1)
    assert "3 images t1w to ct (trained), 3 draws each" in capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "translated.json").read_text())
    assert (
        record["route"] == "trained"
        and record["draws"] == 3
        and record["intensity"]["unit"] == "HU"
    )
    files = record["images"][0]["files"]
    assert len(files) == 5 and all((tmp_path / "out" / name).is_file() for name in files)
    draws = np.stack([np.asarray(Image.open(tmp_path / "out" / name)) for name in files[2:]])
    mean = np.asarray(Image.open(tmp_path / "out" / files[0]))
    np.testing.assert_allclose(mean, draws.mean(axis=0), atol=0.51)
    # Again, alone and of other draws: an image's noise is its own.
    one = tmp_path / "one"
    translate(trained, str(folder / "head_1.png"), "t1w", "ct", one, draws=3, seed=1)
    again = json.loads((one / "translated.json").read_text())["images"][0]["files"]
    other = record["images"][1]["files"]
    for a, b in zip(again, other, strict=True):
        here, there = (np.asarray(Image.open(p), int) for p in (one / a, tmp_path / "out" / b))
        assert np.abs(here - there).max() <= 1
    assert files[0] == "mean/head_0.png"
    with Image.open(tmp_path / "out" / record["images"][0]["preview"]) as preview:
        assert preview.size[0] > preview.size[1]
    (route,) = [
        r for r in evaluation(trained)["translation"]["routes"] if r["source"] == "t1w"
    ]  # fmt: skip
    assert record["evaluated"]["psnr"] == route["rows"]["mean of 2"]["psnr"]["value"]
    again = str(folder / "head_1.png")  # what it wrote is replaced
    translate(trained, again, "t1w", "ct", tmp_path / "out", draws=3, seed=1)


def test_a_volume_is_drawn_slice_by_slice_on_its_own_grid(trained, tmp_path):
    """As many slices and draws as the evaluation has drawn, which has compiled it."""
    values = np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    affine = centred_affine(values.shape, (2.5, 1.0, 1.0))
    affine[:3, 3] += (4, -7, 11)
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(tmp_path / "in" / name, values, affine=affine)
        values = values[:1]
    with pytest.warns(UserWarning, match="were never trained on"):
        translate(trained, str(tmp_path / "in"), "t1w", "ct", tmp_path / "out", draws=2)
    record = json.loads((tmp_path / "out" / "translated.json").read_text())
    assert record["slices"] == "axial" and record["noise"] == "one of each volume"
    assert record["format"] == "nifti" and record["unit"] == "HU"
    assert [one["name"] for one in record["images"]] == ["a.nii.gz", "b.nii.gz"]
    mean, spread, *draws = (read_nifti(tmp_path / "out" / f) for f in record["images"][0]["files"])
    for one in (mean, spread, *draws):
        assert one.space == (3, 16, 16)
        np.testing.assert_allclose(one.affine, affine, atol=1e-5)
    assert mean.values.dtype == np.int16 and spread.values.dtype == np.float32
    each = np.stack([one.values for one in draws]).astype(float)
    np.testing.assert_allclose(mean.values, each.mean(axis=0), atol=1.01)
    np.testing.assert_allclose(spread.values, each.std(axis=0, ddof=1), atol=1.01)
    with pytest.raises(ValueError, match="--format=png: .* holds volumes"):
        translate(
            trained, str(tmp_path / "in"), "t1w", "ct", tmp_path / "png", file_format="png"
        )  # fmt: skip


@pytest.fixture(scope="module")
def client(flow):
    with answering(flow) as found:
        assert found.get("/health").json()["endpoints"] == ["generate", "translate", "report"]
        yield found


def test_a_service_translates_reports_and_draws(client, pictures, tmp_path):
    content = (pictures[0] / "head_0.png").read_bytes()
    values = np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    write_nifti(tmp_path / "v.nii.gz", values, affine=centred_affine(values.shape, (2.5, 1.0, 1.0)))
    volume = (tmp_path / "v.nii.gz").read_bytes()
    route, cut = {"source": "t1w", "target": "ct"}, gzip.compress(gzip.decompress(volume)[:900])

    def ask(endpoint, content=b"", status=200, **given):
        answer = client.post(f"/{endpoint}", params=given, content=content)
        assert answer.status_code == status, answer.text
        return answer.json()

    found = ask("translate", content, name="h.png", draws=2, **route)
    (image,) = found["images"]
    assert found["route"] == "trained" and len(image["samples"]) == 2
    assert all("evaluation 'test': t1w to ct: worse" in line for line in found["warnings"])
    assert {image["mean"], image["spread"]} & {image["picture"]} == set()
    (image,) = ask("translate", content, name="h.png", draws=1, **route)["images"]
    assert image["spread"] is None and image["mean_spread"] is None  # which one draw cannot tell
    found = ask("translate", volume, name="v.nii.gz", draws=2, **route)
    assert [one["name"] for one in found["images"]] == [f"v.nii.gz, slice {i}" for i in range(3)]
    (image,) = ask("report", content, name="h.png", source="t1w", draws=2)["images"]
    assert len(image["drafts"]) == 2 and image["report"] == image["drafts"][0]
    assert image["route"] == "emergent"
    # What no draft states, as of a model of a few steps, drafts cannot agree in.
    assert (image["agreement"] is not None) == any(map(stated, image["drafts"]))
    found = ask("generate", text="There is one lesion.", modalities="ct", count=2)
    assert [*found["pictures"]] == ["ct"] and len(found["pictures"]["ct"]) == 2
    assert found["routes"] == {"report-ct": "trained"}
    for endpoint, body, given, words in (
        ("translate", content, {"source": "t1w"}, "target is missing"),
        ("translate", content, {"source": "pet", "target": "ct"}, "pet"),
        ("translate", b"no image", {"name": "h.png", **route}, "h.png is not an image"),
        ("translate", b"", {"name": "h.png", **route}, "no image was sent"),
        ("translate", cut, {"name": "v.nii.gz", **route}, "v.nii.gz"),
        (
            "translate",
            content,
            {"source": "report", "target": "ct"},
            "'report' is text, where one of",
        ),
        (
            "translate",
            content,
            {"source": "ct", "target": "report"},
            "'report' is text, where one of",
        ),
        ("report", content, {}, "source is missing: choose one of ct, t1w"),
        (
            "report",
            content,
            {"source": "report"},
            "'report' is text, where one of ct, t1w is meant",
        ),
        ("report", b"no image", {"name": "h.dcm", "source": "t1w"}, "h.dcm is no DICOM file"),
        ("generate", b"", {"label": "severe"}, "give text, or modalities"),
    ):
        told = ask(endpoint, body, 400, **given)["error"]
        assert words in told and "\n" not in told, told


def test_a_translation_and_a_report_in_a_browser(client, pictures):
    file = pictures[0] / "head_0.png"
    sent = {file.name: file.read_bytes()}
    with browsing() as browser, opened(browser, ADDRESS, client, sent) as page:
        page.select_option("#translate-target", "ct")
        # What is asked by default, and two draws by their place among 0, 1, 2, ... and 1, 2, 4, ...
        for name, usual, place in (("translate", "as usual", "2"), ("report", "4", "1")):
            page.select_option(f"#{name}-source", "t1w")
            page.click(f"#{name} summary >> text=Settings")
            drawn = page.locator(f"#{name} output[for={name}-draws]")
            assert drawn.inner_text() == usual
            page.fill(f"#{name}-draws", place)
            assert drawn.inner_text() == "2"
            page.set_input_files(f"#{name}-file", file)
            page.wait_for_selector(f"#{name} .card")
        titles = page.locator("#translate figcaption").all_inner_texts()
        assert titles[:2] == ["source", "mean of the draws"] and "spread of the draws" in titles[2]
        assert "2 samples" in page.inner_text("#translate .card")
        assert page.evaluate(LOADED)
        assert "agreement of the drafts" in page.inner_text("#report .card")
