"""Labels of an archive that are numbers: which class each is taken for is said, or refused."""

import dataclasses
import warnings

import numpy as np
import pytest

from msflow_jax.data import Info, read_labelled

INFO = Info("x", ("malignant", "normal"), 1, 8, "binary-class", "", "", "", ())


def read(folder, classes, labels):
    path = folder / "x.npz"
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8)).astype(np.uint8)
    np.savez(path, images=images, labels=np.array(labels))
    return read_labelled(path, dataclasses.replace(INFO, classes=classes)).labels.tolist()


def test_a_line_says_which_number_is_which_class(tmp_path):
    words = r"x\.npz: labels: labels are numbers: 0 = malignant, 1 = normal$"
    with pytest.warns(UserWarning, match=words):
        assert read(tmp_path, INFO.classes, [1, 0, 1]) == [1, 0, 1]


@pytest.mark.parametrize(
    ("classes", "called"),
    [
        (("1", "2", "3", "4"), "1"),
        (("0", "2"), "2"),
        (("grade", "1.0"), "1.0"),
        (("-1", "1"), "-1"),
    ],
)
def test_classes_called_by_other_numbers_are_refused(tmp_path, classes, called):
    words = (
        f"labels holds numbers, .*{classes[0]}, 1 = {classes[1]}.*that {called} may.*save the names"
    )
    with pytest.raises(ValueError, match=words):
        read(tmp_path, classes, [1, 0, 1])
    assert read(tmp_path, classes, [classes[1], classes[0]]) == [1, 0]


def test_names_that_are_the_numbers_say_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(tmp_path, ("0", "1"), [1, 0]) == [1, 0]
        assert read(tmp_path, INFO.classes, ["normal"]) == [1]
