"""Many images lie in a file, and are the same."""

import numpy as np
import pytest
from PIL import Image

from msflow_jax.data import Info
from msflow_jax.data.sources import images as reading
from msflow_jax.data.sources.piling import Pile

INFO = Info("x", ("a", "b"), 1, 8, "binary-class", "", "", "", ())


@pytest.mark.parametrize("most", [0, 100, 10**6])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_they_are_those_that_were_added(most, dtype):
    images = np.random.default_rng(0).integers(0, 255, (7, 4, 5, 1)).astype(dtype)
    pile = Pile(most)
    for image in images:
        pile.add(image[::-1])  # whatever their strides
    found = pile.array()
    assert isinstance(found, np.memmap) == (most < images.nbytes) and len(pile) == 7
    np.testing.assert_array_equal(found, images[:, ::-1])
    np.testing.assert_array_equal(found[np.array([6, 0, 6])], images[[6, 0, 6], ::-1])


def test_another_shape_is_refused():
    pile = Pile(0)
    pile.add(np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError, match="float32"):
        pile.add(np.zeros((2, 2), np.float32))


def test_many_files_are_read_as_few_are(tmp_path, monkeypatch):
    for i in range(5):
        Image.fromarray(np.full((8, 8), 40 * i, np.uint8)).save(tmp_path / f"{i}.png")
    few, names = reading.read_images(tmp_path, INFO)
    monkeypatch.setattr(reading, "Pile", lambda: Pile(100))
    many, same = reading.read_images(tmp_path, INFO)
    assert names == same and isinstance(many, np.memmap)
    np.testing.assert_array_equal(few, many)
