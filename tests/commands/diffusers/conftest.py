"""A run of MedM2G by the train command, small, done once."""

from contextlib import contextmanager

import pytest
from PIL import Image

from msflow_jax import data
from msflow_jax.commands.train import main
from msflow_jax.workdir import open_workdir, read
from tests.commands.conftest import quickly

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
    # Transformers compile in half of the time of convolutions, which tests/diffusers has.
    "--config.model.align.encoder=vit",
    "--config.model.align.depth=1",
    "--config.model.align.patch=8",
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


@contextmanager
def phantoms_kept(phantoms):
    """Phantoms are made once, and kept in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSFLOW_JAX_PHANTOMS", str(phantoms))
        yield


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory):
    return tmp_path_factory.mktemp("phantoms")


@pytest.fixture(autouse=True, scope="module")
def phantoms_made_once(phantoms):
    with phantoms_kept(phantoms):
        yield


@pytest.fixture(scope="session")
def trained(phantoms, tmp_path_factory):
    """Workdir of a whole run: trained, evaluated, reported."""
    workdir = tmp_path_factory.mktemp("diffusers") / "w"
    cache = f"--config.model.latent.cache={workdir.parent / 'latents'}"
    with quickly(), phantoms_kept(phantoms):
        main([*FLAGS, cache, f"--workdir={workdir}"])
    return workdir


@pytest.fixture(scope="session")
def flow(trained):
    return open_workdir(trained)


@pytest.fixture(scope="session")
def pictures(phantoms, trained):
    """Test images of T1 as files, and of all else in a split."""
    config, _ = read(trained)
    with phantoms_kept(phantoms):
        split = data.load(config.data).test
    folder = trained.parent / "t1w"
    folder.mkdir()
    for i, image in enumerate(split.arrays["t1w"][:3, ..., 0]):
        Image.fromarray(image).save(folder / f"head_{i}.png")
    return folder, split
