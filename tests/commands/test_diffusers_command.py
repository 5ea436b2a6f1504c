"""MedM2G through all commands: train, evaluate, translate, report, retrieve, generate."""

import csv
import gzip
import json
import shutil

import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from PIL import Image

from msflow_jax import data
from msflow_jax.commands.evaluate import evaluate
from msflow_jax.commands.generate import generate, written_before
from msflow_jax.commands.joint import read_texts
from msflow_jax.commands.report import report
from msflow_jax.commands.retrieve import retrieve
from msflow_jax.commands.train import main
from msflow_jax.commands.translate import translate
from msflow_jax.data.sources.nifti import read_nifti
from msflow_jax.data.sources.nifti_writing import centred_affine, write_nifti
from msflow_jax.inference import together
from msflow_jax.storage.checkpoints import Checkpoints
from msflow_jax.training.sequence import read_params
from msflow_jax.workdir import open_workdir, read
from tests.commands.browsing import ADDRESS, LOADED, answering, browsing, opened
from tests.commands.conftest import evaluation

pytest.importorskip("tokenizers")
FLAGS = [
    "--config=configs/medm2g_phantom.py",
    "--config.data.side=16",
    "--config.data.phantoms.subjects=40",
    "--config.data.slices.spacing=40",
    "--config.model.modalities=('report','ct','t1w')",
    "--config.model.links=('ct-report','t1w-ct')",
    "--config.model.regression.routes=('t1w-ct',)",
    "--config.model.regression.width=8",
    "--config.model.segmenter.modalities=('ct',)",
    "--config.model.segmenter.width=8",
    "--config.model.decoder.sources=('ct',)",
    "--config.model.net.width=16",
    "--config.model.net.depth=1",
    "--config.model.net.head_channels=8",
    "--config.model.align.width=4",
    "--config.model.align.features=8",
    "--config.model.text.width=16",
    "--config.model.text.depth=1",
    "--config.model.context.width=4",
    "--config.model.context.side=2",
    "--config.model.frozen_trunks=True",
    # T1 is drawn in latents, CT in pixels.
    "--config.model.latent.autoencoder=t1w=patches",
    "--config.model.latent.patch=4",
    "--config.model.latent.channels=4",
    "--config.train.batch=4",
    "--config.train.steps=2",
    "--config.train.writers=()",
    "--config.sample.translate.steps=1",
    "--config.sample.translate.draws=2",
    "--config.sample.generate.steps=1",
    "--config.sample.generate.count=8",
    "--config.sample.evaluate.examples=4",
    "--config.sample.evaluate.routes=('t1w-ct','ct-t1w')",
]
NAMES = [
    "text", "align-ct", "align-t1w", "draw-report", "draw-ct", "draw-t1w", "link-ct-report",
    "link-t1w-ct", "regress-t1w-ct", "segment-ct", "decode-ct",
]  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def phantoms_made_once(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSFLOW_JAX_PHANTOMS", str(tmp_path_factory.mktemp("phantoms")))
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("diffusers") / "w"
    cache = f"--config.model.latent.cache={workdir.parent / 'latents'}"
    main([*FLAGS, cache, f"--workdir={workdir}"])
    return workdir


@pytest.fixture(scope="module")
def flow(trained):
    return open_workdir(trained)


@pytest.fixture(scope="module")
def pictures(trained):
    """Test images of T1 as files, and of all else in a split."""
    config, _ = read(trained)
    split = data.load(config.data).test
    folder = trained.parent / "t1w"
    folder.mkdir()
    for i, image in enumerate(split.arrays["t1w"][:3, ..., 0]):
        Image.fromarray(image).save(folder / f"head_{i}.png")
    return folder, split


def test_stages_sections_and_the_page(trained):
    stages = [name for name, _ in json.loads((trained / "stages.json").read_text())]
    assert stages == NAMES
    assert (trained / "tokeniser.json").is_file()
    found = evaluation(trained)
    assert found["sections"] == [
        *("retrieval", "translation", "partners", "texts", "facts", "generation")
    ]
    route = found["translation"]["routes"][0]
    names = ["one draw", "mean of 2", "identity", "mean image", "tone curve", "U-Net, L1"]
    assert list(route["rows"]) == names and route["unit"] == "HU" and route["trained"]
    judged = route["anatomy"]["rows"]
    assert (
        list(judged) == [*names, "true target"]
        and "anatomy" not in found["translation"]["routes"][1]
    )
    assert set(judged["identity"]["lesions"]) >= {"recall", "precision", "found", "lost", "added"}
    drawn = {one["source"]: list(one["rows"]) for one in found["texts"]["routes"]}
    usual = ["one draw", "nearest training report", "usual facts"]
    assert drawn["t1w"] == usual and drawn["ct"] == [*usual[:2], "autoregressive decoder", usual[2]]
    shown = found["facts"]["modalities"]
    assert [one["modality"] for one in shown] == ["ct", "t1w"] and "real" in shown[0]["rows"]
    text = (trained / "report" / "index.html").read_text()
    for words in ("t1w to ct", "MAE HU", "U-Net, L1", "recall at 1", "all facts right", "emergent",
                  "Dice, white matter", "lesions: recall", "true target", "another report"):  # fmt: skip
        assert words in text, words


def test_what_is_drawn_in_latents(trained, tmp_path):
    """The workdir keeps the autoencoder, which no stage trains; what it loses is measured."""
    rows = {
        route["target"]: route["rows"] for route in evaluation(trained)["translation"]["routes"]
    }
    assert "autoencoder alone" not in rows["ct"]
    quality = json.loads((trained / "latents.json").read_text())["t1w"]["quality"]
    alone = rows["t1w"]["autoencoder alone"]["psnr"]["value"]
    assert abs(alone - quality["psnr"]) < 3 and alone > rows["t1w"]["one draw"]["psnr"]["value"]
    flow = open_workdir(shutil.copytree(trained, tmp_path / "moved"))
    assert (
        flow.model.modalities["t1w"].inner == (4, 4, 4) and not flow.model.modalities["ct"].latent
    )
    config, _ = read(trained)
    assert set(flow.params["codec"]) == {"t1w"}
    assert "codec" not in read_params(trained, config.train.select)[1]
    assert len(list((trained.parent / "latents").glob("*/00000.safetensors"))) == 2


def test_drawn_images_stand_beside_real_ones(trained):
    found = evaluation(trained)["generation"]["modalities"]
    assert {name: (one["source"], one["trained"]) for name, one in found.items()} == {
        "ct": ("report", True), "t1w": ("ct", True),
    }  # fmt: skip
    for one in found.values():
        assert (
            set(one["comparison"]) == {"generated", "real", "noise"}
            and "not FID" in one["features"]
        )
        assert one["memorisation"]["generated"] == 8 and one["samples"] <= 8
    text = (trained / "report" / "index.html").read_text()
    for words in (
        "Generation metrics: ct from report",
        "Memorisation: t1w from ct",
        "distance, t1w",
    ):
        assert words in text, words


def test_what_a_stage_has_trained_no_later_one_touches(trained):
    """Bit for bit, of the parameters to use."""
    config, _ = read(trained)
    last = flatten_dict(read_params(trained, config.train.select)[1])
    for name in NAMES[:-1]:
        with Checkpoints(trained / "stages" / name / "checkpoints", read_only=True) as kept:
            _, then = kept.restore_params()
        for path, leaf in flatten_dict(then).items():
            np.testing.assert_array_equal(last[path], leaf, str(path))


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


def test_reports_with_their_facts(trained, pictures, tmp_path):
    folder, _ = pictures
    rows = report(trained, str(folder), "t1w", tmp_path / "r.csv", draws=2)
    assert len(rows) == 3 and rows[0]["route"] == "emergent" and 0 <= rows[0]["agreement"] <= 1
    with (tmp_path / "r.csv").open() as file:
        assert next(csv.DictReader(file))["name"] == "head_0.png"
    report(trained, str(folder), "t1w", tmp_path / "r.json", draws=2)
    assert len(json.loads((tmp_path / "r.json").read_text())["reports"]) == 3


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


def test_after_any_stage_there_is_something_to_measure(trained):
    found = evaluate(trained, split="val", stage="align-t1w", name="val-align-t1w")
    assert found["sections"] == ["retrieval"]


@pytest.mark.parametrize(
    "verb, flags, message",
    [
        ("translate", ("--source=t1w", "--target=pet"), "has no images 'pet'; there are"),
        ("translate", ("--source=flair", "--target=ct"), "no modality 'flair'"),
        ("translate", ("--source=t1w", "--target=t1w"), "to draw 't1w', give at least one"),
        ("report", ("--source=report",), "has no images 'report'; there are"),
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


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--config.model.links=('ct-report','t1w-pet')"], "'pet' is none of them"),
        (["--config.model.modalities=('report','ct','t1w','pet')"], "nothing links pet"),
        (["--config.model.links=('ct-report','t1w-ct','ct-report')"], "attaches a modality to one"),
        (["--config.data.phantoms.withhold=none"], "training subjects are in the sets of both"),
        (["--config.model.prediction=noise"], "unknown model.prediction 'noise': choose one of"),
        (["--config.data.loader=grain"], "data.loader='grain': pairs of modalities are kept"),
        (["--config.sample.evaluate.routes=('t1w-pet',)"], "'t1w-pet' is no route source-target"),
        (["--config.train.accumulate=2"], "accumulate=2: alignment compares members of a batch"),
        (["--config.model.tokeniser=nowhere.json"], "nowhere.json is missing"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit(flags, message, tmp_path):
    changed = [flag.split("=")[0] for flag in flags]
    rest = [flag for flag in FLAGS if flag.split("=")[0] not in changed]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        main([*rest, f"--workdir={tmp_path / 'w'}", *flags])
    assert not (tmp_path / "w" / "stages").exists()


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
    assert image["route"] == "emergent" and 0 <= image["agreement"] <= 1
    found = ask("generate", text="There is one lesion.", modalities="ct", count=2)
    assert [*found["pictures"]] == ["ct"] and len(found["pictures"]["ct"]) == 2
    assert found["routes"] == {"report-ct": "trained"}
    for endpoint, body, given, words in (
        ("translate", content, {"source": "t1w"}, "target is missing"),
        ("translate", content, {"source": "pet", "target": "ct"}, "pet"),
        ("translate", b"no image", {"name": "h.png", **route}, "h.png is not an image"),
        ("translate", b"", {"name": "h.png", **route}, "no image was sent"),
        ("translate", cut, {"name": "v.nii.gz", **route}, "v.nii.gz"),
        ("report", content, {}, "source is missing: choose one of"),
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
