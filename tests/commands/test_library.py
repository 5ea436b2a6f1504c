"""The library part of docs/use.md as it stands there; images that are not what they should be."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import msflow_jax
from msflow_jax.inference.flow import check_images
from msflow_jax.serving.service import told
from msflow_jax.storage.content import OfArrays

ROOT = Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def flow(trained):
    return msflow_jax.open(trained)


@pytest.fixture
def images():
    return RNG.integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)


def test_the_library_as_documented(trained, images):
    """Both blocks run: the one line, which the README has too, and the pure functions beneath."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/use.md").read_text(), re.S)
    assert len(blocks) == 2
    assert f"```python\n{blocks[0]}```" in (ROOT / "README.md").read_text()
    first = blocks[0].replace("runs/quickstart", str(trained)).replace('"severe"', '"dark"')
    names = {"images": images}
    exec(first, names)
    assert len(names["prediction"].names) == 5 and names["rejected"].shape == (5,)
    assert names["drawn"].shape == (16, 8, 8, 1) and names["drawn"].dtype == np.uint8
    second = blocks[1].replace(
        "UNet(", "UNet(width=8, groups=4, multipliers=(1,), attention=(), head_channels=8, "
    )
    names = {"images": np.zeros((2, 28, 28, 1), np.float32), "labels": np.array([0, 1])}
    exec(second, names)
    assert names["drawn"].shape == (16, 28, 28, 1)
    assert names["prediction"].classes == ("normal", "pneumonia")


def test_floats_and_bytes_give_the_same(flow, images):
    a = flow.classify(images)
    b = flow.classify(images.astype(np.float32) / 127.5 - 1)
    c = flow.classify(images[..., 0])
    np.testing.assert_array_equal(a.prediction, b.prediction)
    np.testing.assert_allclose(a.probability, b.probability, atol=1e-6)
    np.testing.assert_array_equal(a.probabilities, c.probabilities)
    assert set(a.names) <= {"dark", "very bright"}
    assert a.uncertainty["distance"].shape == (5,)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda x: x.astype(np.uint16) * 16, "got uint16: scale them to 0..255"),
        (lambda x: x.astype(np.int64), "got int64: scale them"),
        (lambda x: x / 255.0, r"looks like \[0, 1\]: give 2 x - 1, or uint8"),
        (lambda x: x.astype(np.float32), r"must lie in \[-1, 1\], got 0 to 255"),
        (lambda x: x * np.float32(np.nan), r"must lie in \[-1, 1\], got nan"),
        (lambda x: x[:, :7], r"images must be uint8 \[N, 8, 8, 1\].*got uint8 \(5, 7, 8, 1\)"),
        (lambda x: np.repeat(x, 3, -1), r"got uint8 \(5, 8, 8, 3\)"),
        (lambda x: x[0], r"got uint8 \(8, 8, 1\)"),
        (lambda x: x[:0], r"got uint8 \(0, 8, 8, 1\)"),
        (lambda x: x > 100, "got bool"),
    ],
)
def test_images_that_are_not_what_they_should_be(images, make, message):
    images[0, 0, 0], images[0, 0, 1] = 0, 255
    with pytest.raises(ValueError, match=message):
        check_images(make(images), (8, 8, 1))


def test_bytes_that_were_floats_of_0_to_1_are_named(flow, images):
    dark = (images / 255).astype(np.uint8)
    with pytest.warns(OfArrays, match=r"none of 5 has a value above 1: .*give 2 x - 1") as said:
        flow.classify(dark)
    assert [one.filename for one in said if one.category is OfArrays] == [__file__]
    with pytest.warns(OfArrays, match="^ct are uint8 .* none of 2 has a value above 15:"):
        check_images(np.full((2, 8, 8), 15, np.uint8), (8, 8, 1), "ct")
    with warnings.catch_warnings():
        warnings.simplefilter("error", OfArrays)
        dark[3, 0, 0] = 16  # one that is not: air is dark as well
        check_images(dark, (8, 8, 1))
        check_images(dark / np.float32(127.5) - 1, (8, 8, 1))


def test_what_readers_say_of_dark_files_is_said_once(trained, flow, command, tmp_path, recwarn):
    file = tmp_path / "dark.png"
    Image.fromarray(np.ones((8, 8), np.uint8)).save(file)
    done = command(
        "classify", f"--workdir={trained}", f"--images={file}", f"--output={tmp_path / 'p.csv'}"
    )
    said = " ".join(str(one.message) for one in recwarn)
    assert done.status == 0 and said.count("nearly black") == 1
    with told() as lines:  # of a service, whose readers have said it too
        flow.classify(np.ones((1, 8, 8, 1), np.uint8))
        warnings.warn("another", stacklevel=1)
    assert lines == ["another"]


def test_requests_that_the_model_does_not_know(flow, images):
    with pytest.raises(ValueError, match="classify of this model has no temperature: its settings"):
        flow.classify(images, temperature=2.0)
    with pytest.raises(ValueError, match="unknown class 'severe': this model knows 0 = dark"):
        flow.generate("severe", 2)
    with pytest.raises(ValueError, match="count must be at least 1"):
        flow.generate("dark", 0)
    with pytest.raises(ValueError, match="no likelihood to explain"):
        flow.explain(images, np.zeros(5, int), np.ones(5, int))
    with pytest.raises(ValueError, match="unknown uncertainty 'evidence'"):
        flow.abstains(flow.classify(images), measure="evidence")


def test_a_workdir_that_is_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="config.json is missing"):
        msflow_jax.open(tmp_path)
