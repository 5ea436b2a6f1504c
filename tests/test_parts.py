"""The mask of a coupling flow: from a file, from the training images, from the workdir."""

import numpy as np
import pytest
from PIL import Image

from msflow_jax.data import Info, Split
from msflow_jax.defaults import coupling, default_config
from msflow_jax.parts import keep, prepare

INFO = Info("made up", ("a", "b"), 1, 8, "binary-class", "", "", "", ())


@pytest.fixture
def config():
    config = coupling(default_config(), "cpu").model
    config.coupling.layout = "picture:1"
    return config


def split(images):
    labels = np.zeros(len(images), np.int32)
    return Split.of_images(images.astype(np.uint8), labels, tuple(map(str, labels)))


@pytest.mark.parametrize("ground", [0, 120])
def test_a_mask_from_the_training_images_is_where_they_are_bright(config, tmp_path, ground):
    images = np.full((3, 8, 8, 1), ground)
    images[:, 2:6, 3:7] = 200
    mask = prepare(config, INFO, tmp_path, split(images)).picture
    expected = np.zeros((8, 8), bool)
    expected[2:6, 3:7] = True
    np.testing.assert_array_equal(mask, expected)


def test_a_mask_from_a_file_is_brought_to_the_side_and_kept(config, tmp_path):
    picture = np.zeros((16, 16), np.uint8)
    picture[:8] = 255
    Image.fromarray(picture).save(tmp_path / "head.png")
    config.coupling.picture = str(tmp_path / "head.png")
    found = prepare(config, INFO, tmp_path / "run")
    assert found.picture[:4].all() and not found.picture[4:].any()
    (tmp_path / "run" / "checkpoints" / "1" / "ema").mkdir(parents=True)
    keep(found, tmp_path / "run")
    (tmp_path / "head.png").unlink()
    kept = prepare(config, INFO, tmp_path / "run")
    np.testing.assert_array_equal(kept.picture, found.picture)


def test_a_missing_mask_is_named(config, tmp_path):
    config.coupling.picture = str(tmp_path / "nowhere.png")
    with pytest.raises(FileNotFoundError, match="nowhere.png: mend model.coupling.picture"):
        prepare(config, INFO, tmp_path / "run")
