"""The mask of a coupling flow: from a file, from the training images, from the workdir."""

import numpy as np
import pytest
from PIL import Image

from msflow_jax.config import default_config
from msflow_jax.coupling.parts import load, prepare
from msflow_jax.data import Info, Split

INFO = Info("x", ("a", "b"), 1, 8, "binary-class", "", "", "", (), fit="pad")


@pytest.fixture
def config():
    config = default_config("coupling").model
    config.layout = "foreground:1"
    return config


def split(images):
    labels = np.zeros(len(images), np.int32)
    return Split.of_images(images.astype(np.uint8), labels, tuple(map(str, labels)))


@pytest.mark.parametrize("ground", [0, 120])
def test_a_mask_from_the_training_images_is_where_they_are_bright(config, ground):
    images = np.full((3, 8, 8, 1), ground)
    images[:, 2:6, 3:7] = 200
    mask = prepare(config, INFO, split(images)).foreground
    expected = np.zeros((8, 8), bool)
    expected[2:6, 3:7] = True
    np.testing.assert_array_equal(mask, expected)


def test_a_mask_from_a_file_is_brought_to_the_side_and_kept(config, tmp_path):
    picture = np.zeros((16, 16), np.uint8)
    picture[:8] = 255
    Image.fromarray(picture).save(tmp_path / "head.png")
    config.foreground = str(tmp_path / "head.png")
    found = prepare(config, INFO, None)
    assert found.foreground[:4].all() and not found.foreground[4:].any()
    found.save(tmp_path / "run")
    (tmp_path / "head.png").unlink()
    kept = load(config, (8, 8), tmp_path / "run")
    np.testing.assert_array_equal(kept.foreground, found.foreground)
    (tmp_path / "run" / "mask.png").unlink()
    with pytest.raises(FileNotFoundError, match="mask.png: restore it from a copy"):
        load(config, (8, 8), tmp_path / "run")


def test_a_mask_that_is_not_square_is_fitted_as_the_images_are(config, tmp_path):
    Image.fromarray(np.full((8, 16), 257, np.uint16)).save(tmp_path / "head.png")  # any depth
    config.foreground = str(tmp_path / "head.png")
    found = prepare(config, INFO, None).foreground
    assert found[2:6].all() and not found[:2].any() and not found[6:].any()


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_a_mask_of_a_lossy_format_is_refused(config, tmp_path, suffix):
    """What a JPEG writes about an edge was foreground."""
    picture = np.zeros((64, 64), np.uint8)
    picture[20:41, 20:41] = 255
    path = tmp_path / f"head.{suffix}"
    Image.fromarray(picture).save(path, quality=75)
    config.foreground = str(path)
    with pytest.raises(
        ValueError, match=f"head.{suffix} is .*, which changes values: save model.foreground as PNG"
    ):
        prepare(config, INFO, None)


def test_a_mask_that_no_step_asks_for_is_named(config):
    config.layout, config.foreground = "checkerboard:1", "head.png"
    with pytest.warns(
        UserWarning, match="foreground='head.png' has no effect: no step .* foreground"
    ):
        assert prepare(config, INFO, None).foreground is None


def test_a_missing_mask_is_named(config, tmp_path):
    config.foreground = str(tmp_path / "nowhere.png")
    with pytest.raises(FileNotFoundError, match="nowhere.png: correct model.foreground"):
        prepare(config, INFO, None)
