"""A training set of real and drawn images knows how volumes were cut and how pictures were fitted."""

import json

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.sources.grey.written import NAME
from msflow_jax.data.sources.listings.manifest import list_manifest
from msflow_jax.data.sources.nifti.writing import write_nifti
from msflow_jax.data.sources.packs.packed import Settings
from msflow_jax.data.sources.packs.packing import pack
from msflow_jax.inference.augmented import write_training_set
from tests.data.sources.listings.test_files import fill, load

CORONAL = {"axis": "coronal", "first": 0.2, "last": 0.8, "spacing": 0.0}
pytestmark = pytest.mark.filterwarnings("ignore:.*(read as|has one training image|brought to)")


def a_set(folder, splits):
    folder.mkdir()
    drawn = np.zeros((1, *splits.info.shape), np.uint8)
    write_training_set(folder, splits, drawn, np.array([0]))
    return folder / "manifest.csv"


def volumes(root, dtype):
    for i in range(10):
        path = root / "ab"[i % 2] / f"{i}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(i).integers(0, 256, (5, 8, 7)).astype(dtype)
        write_nifti(path, values, spacing=(1, 1, 1))
    return root


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_a_model_of_the_set_cuts_volumes_as_the_first(tmp_path, dtype):
    first = load(volumes(tmp_path / "a", dtype), slices=CORONAL, side=8, fit="stretch")
    table = a_set(tmp_path / "set", first)
    second = load(table, "manifest")
    assert second.info.volumes == first.info.volumes == {"slices": CORONAL}
    assert second.info.fit == "stretch" and second.info.intensity() == first.info.intensity()
    found, again = (
        data.read_images(tmp_path / "a", one.info, resize=True) for one in (first, second)
    )
    assert found[1] == again[1] and len(found[1]) == 10 * 6
    np.testing.assert_array_equal(found[0], again[0])
    third = load(a_set(tmp_path / "again", second), "manifest")
    assert third.info.volumes == first.info.volumes


def test_a_pack_of_the_set_knows_it(tmp_path):
    first = load(volumes(tmp_path / "a", np.int16), slices=CORONAL, side=8, fit="stretch")
    config = data.default_config("manifest")
    config.root = str(a_set(tmp_path / "set", first))
    manifest = json.loads(pack(list_manifest(config), tmp_path / "p", Settings()).read_text())
    assert manifest["fit"] == "stretch" and manifest["volumes"] == {"slices": CORONAL}
    packed = load(tmp_path / "p", "arrayrecord")
    assert packed.info.volumes == first.info.volumes and packed.info.fit == "stretch"


def test_pictures_that_were_fitted(tmp_path):
    """The set's own are square: what is said of fit counts for files that come later."""
    first = load(fill(tmp_path / "a", shape=(8, 12)), side=8, fit="crop")
    table = a_set(tmp_path / "set", first)
    assert load(table, "manifest").info.fit == "crop"
    usual = load(fill(tmp_path / "b", shape=(8, 12)), side=8)
    assert not (a_set(tmp_path / "plain", usual).parent / NAME).exists()


def test_a_file_of_before_and_a_damaged_one(tmp_path):
    first = load(volumes(tmp_path / "a", np.int16), slices=CORONAL, side=8, fit="stretch")
    path = (table := a_set(tmp_path / "set", first)).parent / NAME
    whole = json.loads(path.read_text())
    before = {key: one for key, one in whole.items() if key not in ("volumes", "fit")}
    path.write_text(json.dumps(before))
    old = load(table, "manifest").info
    assert (old.volumes, old.fit, old.intensity()) == ({}, "pad", first.info.intensity())
    for wrong in ({"fit": "x"}, {"volumes": {"slices": {"axis": "x"}}}, {"volumes": 3}):
        path.write_text(json.dumps({**whole, **wrong}))
        with pytest.raises(
            ValueError, match=rf"{NAME} is no map to grey levels .*write the set again"
        ):
            load(table, "manifest")
    path.write_text(json.dumps(whole))
    (tmp_path / "set" / "manifest.csv").write_text(
        "path,label,split\n" + "".join(
            f"../a/{'ab'[i % 2]}/{i}.nii.gz,{'ab'[i % 2]},{('train', 'val', 'test')[i % 3]}\n"
            for i in range(10)
        )
    )  # fmt: skip
    with pytest.raises(ValueError, match=rf"{NAME} is of pictures .* are volumes: remove it"):
        load(table, "manifest", outside=True, side=8)
