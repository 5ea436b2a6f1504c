"""Small heads of two classes in files: as NIfTI, or as series of DICOM."""

import numpy as np

from msflow_jax.data.sources.nifti.writing import write_nifti
from tests.data.sources.dicom.dicom_objects import make_series

SPACE = (5, 8, 8)
SPACING = (2.0, 1.0, 1.0)
NAMES = [f"{kind}/{i}" for kind in ("ill", "well") for i in range(5)]


def head(i, dtype=np.int16, space=SPACE):
    """Values as of an MR; no two heads, and no two slices, are equal."""
    values = np.random.default_rng(i).gamma(2.0, 100.0, space)
    return (values % 256 if dtype == np.uint8 else values * (1 + i / 40)).astype(dtype)


def as_nifti(root, suffix=".nii.gz", **options):
    for i, name in enumerate(NAMES):
        path = root / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_nifti(path, head(i, **options), spacing=SPACING)
    return root


def as_series(root, modality="MR", plane="axial", **options):
    for i, name in enumerate(NAMES):
        make_series(
            root / name, head(i, **options), spacing=SPACING, plane=plane, series=i + 1,
            patient=f"PID-{i}", modality=modality,
        )  # fmt: skip
    return root


def of(splits, name):
    """The examples of a head, in the order of their slices, and the split that they are in."""
    for split in ("train", "val", "test"):
        part = splits[split]
        index = [
            i for i, n in enumerate(part.names) if f"{n}/".startswith((f"{name}/", f"{name}."))
        ]
        if index:
            order = np.argsort(part.truth["slice"][index]) if part.truth else range(len(index))
            return part.take(np.array(index)[order]).images, split
    raise AssertionError(name)
