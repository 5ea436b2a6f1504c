"""Files of volumes have the place and the size of what was given, and say where these are not known."""

import json
import warnings
from dataclasses import replace
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from PIL import Image

from msflow_jax import data
from msflow_jax.commands import explain
from msflow_jax.commands.translate import write
from msflow_jax.coupling import Explanation
from msflow_jax.data.base import own_info
from msflow_jax.data.slices import Slices
from msflow_jax.data.sources.images import read_sized_images
from msflow_jax.data.sources.nifti.writing import write_nifti
from msflow_jax.data.sources.restoring import read_segmentable
from msflow_jax.inference.segmented import write_segmented
from msflow_jax.inference.translated import read_sources
from msflow_jax.serving.masks import segment

SIDE = 8


def info(mm=(2.0,) * 3, space=(SIDE,) * 3, **changes):
    found = own_info(
        ("a", "b"), (*space, 1), name="cohort", licence="", md5="", source="", spacing=mm, fit="pad"
    )
    return replace(found, **{"volumes": {"scaled": True}, **changes})


def scan(path, side, mm):
    values = np.random.default_rng(side).integers(0, 256, (side,) * 3).astype(np.uint8)
    return write_nifti(path, values, spacing=(mm,) * 3)


def told(said):
    return [str(one.message) for one in said if issubclass(one.category, UserWarning)]


def read(path, known):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = read_sized_images(path, known, resize=True)
    return found, [line for line in told(said) if "another size on the model's grid" in line]


@pytest.mark.parametrize(
    "side, mm, known, size, line",
    [
        (8, 2.0, info(), 2.0, False),
        (8, 2.01, info(), 2.01, False),
        (8, 3.0, info(), 3.0, True),
        (12, 3.0, info(), 4.5, True),
        (16, 1.0, info(), 2.0, False),
        (12, 3.0, info(()), 4.5, False),  # those trained on differ
        (12, 3.0, info(volumes={"spacing": 2.0}), 2.0, False),
    ],
)
def test_the_size_of_voxels_on_the_grid_of_a_model(tmp_path, side, mm, known, size, line):
    """classify and evaluate --images took 8 voxels of 3 mm for 8 of 2 mm without a word."""
    scan(tmp_path / "v.nii.gz", side, mm)
    found, lines = read(tmp_path / "v.nii.gz", known)
    np.testing.assert_allclose(found.spacings, [(size,) * 3], rtol=1e-6)
    assert len(lines) == line and all("1 of 1 volumes" in one for one in lines)
    if line:
        assert f"v.nii.gz of {size:g} x {size:g} x {size:g} mm, those of 2 x 2 x 2 mm" in lines[0]


def sources(path, known, **settings):
    flow = SimpleNamespace(
        images_of=lambda _: known, config=SimpleNamespace(data=data.default_config())
    )
    return read_sources(
        flow, str(path), "t1w", "t2w", resize=True, file_format="", **settings
    )  # fmt: skip


def translated(tmp_path, path, known):
    given = sources(path, known)
    draws = np.stack([given.images, 255 - given.images])
    record = {
        "source": "t1w",
        "target": "t2w",
        "format": given.kind,
        "spacing": 1,
        **given.facts(True),
    }
    out = tmp_path / "out"
    out.mkdir()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        write(out, draws, given, known, record)
    kept = json.loads((out / "translated.json").read_text(encoding="utf-8"))
    files = [nibabel.load(out / name) for one in kept["images"] for name in one["files"]]
    return kept, files, [line for line in told(said) if "size of a voxel is not known" in line]


def test_drawn_volumes_have_the_extent_of_what_was_given(tmp_path):
    """Of 36 mm a translation had 16."""
    (tmp_path / "in").mkdir()
    scan(tmp_path / "in" / "a.nii.gz", 12, 3.0)
    scan(tmp_path / "in" / "b.nii.gz", 8, 2.0)
    kept, files, lines = translated(tmp_path, tmp_path / "in", info())
    assert [one["spacing"] for one in kept["images"]] == [[4.5] * 3, [2.0] * 3]
    assert kept["spacing"] is None and not lines
    sizes = [file.header.get_zooms() for file in files]
    assert sizes == [(4.5,) * 3] * 4 + [(2.0,) * 3] * 4


def test_explained_volumes_have_the_extent_of_what_was_given(tmp_path):
    found, _ = read(scan(tmp_path / "v.nii.gz", 12, 3.0), info())
    maps = np.zeros((1, SIDE, SIDE, SIDE), np.float32)
    shown = [{"name": "v.nii.gz", "prediction": "a", "class": "a", "against": "b"}]
    (row,) = explain.write(
        tmp_path,
        found.images,
        shown,
        np.zeros(1),
        np.ones(1),
        Explanation(maps, maps),
        found.spacings,
    )
    for name in ("likelihood_map", "log_ratio_map"):
        assert nibabel.load(tmp_path / row[name]).header.get_zooms() == (4.5,) * 3


def stack(path, dims, mm):
    """A TIFF of four pages, which says no place and maybe, in ImageJ's words, a size."""
    pages = [Image.fromarray(np.full((SIDE, SIDE), 30 * k, np.uint8)) for k in range(dims)]
    words = f"ImageJ=1.54\nimages={dims}\nslices={dims}\nunit=mm\nspacing={mm}\n" if mm else ""
    tags = {270: words, 282: 1 / mm, 283: 1 / mm} if mm else {}
    pages[0].save(path, save_all=True, append_images=pages[1:], tiffinfo=tags)


def of_slices(**changes):
    volumes = {"slices": {"axis": "axial", "first": 0.0, "last": 1.0, "spacing": 0.0}}
    return info((), (SIDE, SIDE), volumes=volumes, map_classes=("a", "b"), **changes)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("mm", [0, 3.0])
def test_a_mask_without_a_place_does_not_claim_one(tmp_path, dims, mm):
    """It was in the coordinates of a scanner, at 1 mm."""
    stack(tmp_path / "s.tif", 4 if dims == 2 else SIDE, mm)
    known = of_slices() if dims == 2 else info(map_classes=("a", "b"))
    images, given = read_segmentable(tmp_path / "s.tif", known, Slices(), resize=True)
    maps = np.zeros(images.shape[:-1], np.uint8)
    found = SimpleNamespace(maps=maps, uncertainty=maps.astype(np.float32))
    out = tmp_path / "out"
    out.mkdir()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        write_segmented(out, found, given, ("a", "b"), {})
    header = nibabel.load(out / "masks" / "s.nii.gz").header
    assert int(header["sform_code"]) == int(header["qform_code"]) == 2
    assert header.get_zooms() == ((mm or 1),) * 3
    (kept,) = json.loads((out / "segmented.json").read_text(encoding="utf-8"))["images"]
    assert kept["spacing"] == ([mm] * 3 if mm else None)
    lines = [line for line in told(said) if "1 mm, which stands for not known" in line]
    assert len(lines) == (not mm) and all("null in segmented.json" in line for line in lines)


@pytest.mark.parametrize("mm", [0, 3.0])
def test_a_drawn_volume_without_a_place_does_not_claim_one(tmp_path, mm):
    stack(tmp_path / "s.tif", 4, mm)
    kept, files, lines = translated(tmp_path, tmp_path / "s.tif", of_slices())
    (one,) = kept["images"]
    assert one["spacing"] == ([mm] * 3 if mm else None) and len(lines) == (not mm)
    for file in files:
        assert int(file.header["sform_code"]) == 2 and file.header.get_zooms() == ((mm or 1),) * 3


def test_the_service_says_that_a_size_is_not_known(tmp_path):
    stack(tmp_path / "s.tif", 4, 0)

    def found(images, **_):
        maps = np.zeros(images.shape[:-1], np.uint8)
        return SimpleNamespace(maps=maps, uncertainty=maps.astype(np.float32))

    flow = SimpleNamespace(
        info=of_slices(), config=SimpleNamespace(data=data.default_config()), classes=("a", "b"),
        segment_uncertainly=found, step=1,
    )  # fmt: skip
    given = {"name": "s.tif", "resize": True, "seed": 0, "draws": 1, "steps": 1}
    asked = SimpleNamespace(given=given, content=(tmp_path / "s.tif").read_bytes())
    answer = segment(flow, asked)
    assert any("1 of 1 volumes (s.tif)" in line for line in answer["warnings"])
