"""MedM2G through the train command: stages, sections, the page, and settings that do not fit."""

import json
import shutil

import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from msflow_jax.commands.evaluate import evaluate
from msflow_jax.commands.train import main
from msflow_jax.storage.checkpoints import Checkpoints
from msflow_jax.training.sequence import read_params
from msflow_jax.workdir import open_workdir, read
from tests.commands.conftest import evaluation
from tests.commands.diffusers.conftest import FLAGS

pytest.importorskip("tokenizers")

NAMES = [
    "text", "align-ct", "align-t1w", "draw-report", "draw-ct", "draw-t1w", "link-ct-report",
    "link-t1w-ct", "regress-t1w-ct", "segment-ct", "decode-ct",
]  # fmt: skip


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


def test_after_any_stage_there_is_something_to_measure(trained):
    found = evaluate(trained, split="val", stage="align-t1w", name="val-align-t1w")
    assert found["sections"] == ["retrieval"]


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
