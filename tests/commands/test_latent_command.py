"""A latent model through all commands, as a user would: train, go on, evaluate, classify, generate."""

import shutil

import numpy as np
import pytest
from PIL import Image

from msflow_jax.commands.classify import classify
from msflow_jax.commands.generate import generate
from msflow_jax.commands.train import main
from msflow_jax.symmetric import LatentCodec
from msflow_jax.training.records import read_records
from msflow_jax.workdir import open_workdir
from tests.commands.conftest import evaluation
from tests.commands.test_together import together

FLAGS = [
    "--config=configs/latent_phantom.py",
    "--config.data.side=32",
    "--config.data.phantoms.subjects=16",
    "--config.data.phantoms.slices=2",
    "--config.model.net.width=8",
    "--config.model.net.groups=4",
    "--config.model.net.head_channels=8",
    "--config.model.net.multipliers=(1,)",
    "--config.model.net.attention=()",
    "--config.train.batch=8",
    "--config.train.eval_every=2",
    "--config.sample.batch=4",  # all splits have as many: one program for each function
    "--config.sample.generate.per_class=2",
    "--config.sample.generate.steps=2",
    "--config.sample.classify.draws=2",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("latent")
    cache = f"--config.model.latent.cache={folder / 'cache'}"
    flags = [*FLAGS, cache, f"--workdir={folder / 'w'}"]
    main([*flags, "--encode-only"])
    assert not (folder / "w").exists() and len(list((folder / "cache").glob("*/*.json"))) == 4
    main([*flags, "--config.train.steps=4"])
    return folder, flags


def test_the_report_is_there(trained):
    workdir = trained[0] / "w"
    found = evaluation(workdir)
    assert found["split"] == "test" and 0 <= found["classification"]["accuracy"] <= 1
    assert (workdir / "report" / "index.html").is_file()
    with np.load(workdir / "evaluations" / "test" / "evaluation.npz") as arrays:
        assert arrays["samples"].shape[1:] == (32, 32, 1)
        assert arrays["classify_label"].shape[-1] == 3


def test_it_goes_on_without_encoding(trained, capfd, monkeypatch):
    monkeypatch.setattr("msflow_jax.latent.cache.make_encoder", lambda *_: None)
    # The same length: it ends at once.
    main([*trained[1], "--config.train.steps=4", "--no-evaluate"])
    assert "phantoms: " in capfd.readouterr().out


def test_what_training_needs_is_encoded_beforehand(tmp_path, monkeypatch):
    """The images that choose the checkpoint alone, where there are enough to hold some back."""
    asked = []

    def encode(cache, split, *_):
        asked.append((cache.folder.name, len(split)))
        return {"image": np.zeros((len(split), 2, 4, 4, 8), np.float16)}

    monkeypatch.setattr("msflow_jax.latent.cache.read_or_encode", encode)
    monkeypatch.setattr("msflow_jax.training.run_stages", lambda *_, **__: None)
    flags = [*FLAGS, f"--workdir={tmp_path / 'w'}", "--config.data.phantoms.subjects=80"]
    main([*flags, "--encode-only"])
    encoded, asked[:] = list(asked), []
    main([*flags, "--no-evaluate"])
    assert asked == encoded and encoded[1][1] < 32  # of 16 subjects' two slices each


def test_the_verbs_need_the_workdir_alone(trained, tmp_path):
    folder, _ = trained
    moved = tmp_path / "moved"
    shutil.copytree(folder / "w", moved)
    opened = open_workdir(moved)
    assert isinstance(opened.model.codec, LatentCodec) and opened.model.space == (4, 4)
    generate(moved, ["severe"], 2, tmp_path / "g", steps=1)
    picture = np.asarray(Image.open(next((tmp_path / "g").glob("3_severe_*.png"))))
    assert picture.shape == (32, 32)
    np.savez(tmp_path / "x.npz", images=picture[None, ..., None])
    assert len(classify(moved, str(tmp_path / "x.npz"), tmp_path / "p.csv")) == 1


def test_two_processes_train_as_one(trained, tmp_path):
    """From an autoencoder that exists and a cache that one process has filled."""
    autoencoder = f"--config.model.latent.autoencoder={trained[0] / 'w' / 'autoencoder'}"
    more = [autoencoder, "--config.train.steps=4", "--no-evaluate"]
    more += ["--config.train.log_every=1"]
    one, two = ([*trained[1], *more, f"--workdir={tmp_path / name}"] for name in ("one", "two"))
    main(one)
    together("train", *two)
    losses = [
        [row["loss"] for row in read_records(tmp_path / name) if "loss" in row]
        for name in ("one", "two")
    ]
    assert len(losses[0]) == 4
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert open_workdir(tmp_path / "two").step == 4


def test_without_its_autoencoder_it_says_so(trained, tmp_path):
    shutil.copytree(trained[0] / "w", tmp_path / "w")
    shutil.rmtree(tmp_path / "w" / "autoencoder")
    with pytest.raises(
        ValueError, match=r"autoencoder.json is not the file that the checkpoint \d was made"
    ):
        open_workdir(tmp_path / "w")


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--config.model.latent.autoencoder=nowhere"], "no autoencoder in nowhere .*convert-vae"),
        (["--config.model.latent.autoencoder="], "trained in latents|--encode-only is for latent"),
        (["--config.model.task=segment"], "needs a model of pixels"),
        (["--config.model.resize=30"], "does not divide images of 30: set model.resize"),
        (["--config.model.latent.channels=65"], "has 64 components, 65 were requested"),
        (["--config.model.latent.dtype=float16"], "'float16': choose one of float32, bfloat16"),
        (["--config.model.latent.readout=decode"], "'decode' needs label pictures"),
        (["--config.model.code.scheme=encoded", "--config.model.latent.autoencoder="],
         "'encoded' needs an autoencoder"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit(flags, message, tmp_path):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        main([*FLAGS, f"--workdir={tmp_path / 'w'}", *flags, "--encode-only"])
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("scheme, readout", [("encoded", "decode"), ("pooled", "latent")])
def test_label_pictures_are_kept(scheme, readout, tmp_path):
    more = [f"--config.model.code.scheme={scheme}", f"--config.model.latent.readout={readout}"]
    colours = ["--config.data.channels=3", f"--config.model.latent.cache={tmp_path}"]
    # The other one is evaluated above, and drawing does not ask how labels are read.
    used = ["--config.sample.generate.per_class=0"] if readout == "decode" else ["--no-evaluate"]
    main([*FLAGS, *more, *colours, f"--workdir={tmp_path / 'w'}", "--config.train.steps=2", *used])
    kept = tmp_path / "w" / "label_pictures.safetensors"
    opened = open_workdir(tmp_path / "w")
    np.testing.assert_equal(opened.model.code.clean.shape[0], 4)
    kept.write_bytes(kept.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"label_pictures.safetensors is not the file that"):
        open_workdir(tmp_path / "w")
