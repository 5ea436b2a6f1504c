"""NIfTI images made in a test: values, an oblique affine, headers that are rewritten."""

import nibabel
import numpy as np

from msflow_jax.data.sources.nifti.reading import read_nifti

SHAPE = (5, 4, 3)  # x, y, z
VALUES = np.arange(-20, 40, dtype=np.int16).reshape(SHAPE)
# Voxels of 1 x 1.5 x 3 mm, ten degrees about two axes.
C, S = np.cos(np.radians(10)), np.sin(np.radians(10))
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = (
    np.array([[C, -S, 0], [S, C, 0], [0, 0, 1]])
    @ np.array([[1, 0, 0], [0, C, -S], [0, S, C]])
    @ np.diag([1.0, 1.5, 3.0])
)
OBLIQUE[:3, 3] = -3.5, 7.25, 11.0


def image(values=VALUES, affine=OBLIQUE, kind=nibabel.Nifti1Image, **header):
    made = kind(values, affine)
    for name, value in header.items():
        made.header[name] = value
    return made


def saved(path, made):
    nibabel.save(made, path)
    return path


def as_picture(values):
    """``[X, Y, Z]`` in RAS to ``[D, H, W]``: feet to head, front to back, right to left reversed."""
    return np.asarray(values).transpose(2, 1, 0)[:, ::-1, ::-1]


def rewritten(path, **fields):
    """Sets fields of the header in the file, which nibabel would not write."""
    data = bytearray(path.read_bytes())
    header = nibabel.Nifti1Header(bytes(data[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.binaryblock + bytes(data[348:]))
    return path


def note(path):
    """The one note on a file that can be read."""
    (line,) = read_nifti(path).notes
    assert line.startswith(f"{path}: ") and "\n" not in line
    return line
