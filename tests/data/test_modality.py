"""The kinds of modalities: their shapes, what they let be stored, what moves."""

import numpy as np
import pytest

from msflow_jax.data.modality import KINDS, Modality, check_present, describe

# kind -> shape of one example, the same of a volume, axes of space in [N, *shape], sides
SHAPES = {
    "image": [((8, 6, 3), (1, 2), (8, 6)), ((4, 8, 6, 1), (1, 2, 3), (4, 8, 6))],
    "latent": [((2, 8, 6, 4), (2, 3), (8, 6)), ((2, 4, 8, 6, 4), (2, 3, 4), (4, 8, 6))],
    "map": [((8, 6), (1, 2), (8, 6)), ((4, 8, 6), (1, 2, 3), (4, 8, 6))],
    "label": [((), (), ())],
    "tokens": [((7,), (), ())],
}
STORED = {
    "image": (np.uint8, np.float16, np.float32),
    "latent": (np.float16, np.float32),
    "map": (np.uint8,),
    "label": (np.int32,),
    "tokens": (np.int32,),
}
CASES = [(kind, *case) for kind, cases in SHAPES.items() for case in cases]


@pytest.mark.parametrize("kind, shape, axes, sides", CASES)
def test_kinds_by_their_table(kind, shape, axes, sides):
    modality = Modality(kind, list(shape))
    assert modality.space_axes == axes and modality.sides == sides
    assert modality.moves == bool(axes)
    assert modality.variants == (2 if kind == "latent" else 0)
    assert modality.range == ((-1, 1) if kind == "image" else ())
    assert Modality(**modality.to_dict()) == modality
    for dtype in (np.uint8, np.int32, np.int64, np.float16, np.float32, np.float64):
        array = np.zeros((5, *shape), dtype)
        if dtype in STORED[kind]:
            modality.check(array, "x")
        else:
            with pytest.raises(ValueError, match=f"x must be .*{kind}.*got {array.dtype.name}"):
                modality.check(array, "x")
    with pytest.raises(ValueError, match=r"x must be .*got"):
        modality.check(np.zeros((5, *shape, 2), STORED[kind][0]), "x")
    assert set(SHAPES) == set(KINDS)


@pytest.mark.parametrize(
    "kind, shape",
    [("image", (8, 8)), ("image", (2, 4, 8, 8, 1)), ("latent", (8, 8, 4)), ("map", (8,)),
     ("label", (1,)), ("tokens", ())],
)  # fmt: skip
def test_a_shape_that_the_kind_cannot_have(kind, shape):
    with pytest.raises(ValueError, match=f"kind '{kind}' has the shape"):
        Modality(kind, shape)


def test_an_unknown_kind_names_the_known():
    with pytest.raises(
        ValueError, match="unknown kind 'picture'.*image, latent, map, label, tokens"
    ):
        Modality("picture", (8, 8, 1))


def test_arrays_tell_their_kind_by_usual_names_or_are_told():
    images = np.zeros((3, 8, 8, 1), np.uint8)
    found = describe({"image": images, "ct": images}, {"ct": "image"})
    assert found["image"] == found["ct"] == Modality("image", (8, 8, 1))
    with pytest.raises(ValueError, match="of which kind is the array 'ct'"):
        describe({"ct": images})
    with pytest.raises(ValueError, match="present, index are taken"):
        describe({"index": images}, {"index": "image"})
    with pytest.raises(ValueError, match=r"label, int32 \[3, 2\]"):
        describe({"label": np.zeros((3, 2), np.int32)})


@pytest.mark.parametrize(
    "present, words",
    [
        ({"mr": np.ones(3, bool)}, "belongs to no array; there are ct"),
        ({"ct": np.ones(3, np.uint8)}, r"must be bool \[3\], got uint8"),
        ({"ct": np.ones(2, bool)}, r"must be bool \[3\], got bool \[2\]"),
    ],
)
def test_present_belongs_to_an_array(present, words):
    with pytest.raises(ValueError, match=words):
        check_present({"ct": np.zeros((3, 8, 8, 1))}, present)
