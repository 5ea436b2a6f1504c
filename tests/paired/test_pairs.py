"""Which examples have which modalities, and the sets of those that have several."""

import dataclasses
import sys

import numpy as np
import pytest

from msflow_jax.commands.train import train
from msflow_jax.config import load_config
from msflow_jax.paired.pairs import (
    examples,
    mapped_source,
    once_per_subject,
    pair_source,
    stored,
    together,
)
from msflow_jax.paired.tokens import check_library
from tests.paired.tiny import SETS, split, splits, with_maps


def test_a_pair_that_nobody_has_is_named():
    with pytest.raises(ValueError, match="no example of the training split has both xray, t1w"):
        pair_source(split(), ("xray", "t1w"), None, "training")
    with pytest.raises(
        ValueError, match="the data have no modality 'pet': there are xray, ct, t1w"
    ):
        pair_source(split(), ("xray", "pet"), None, "training")


def test_each_different_example_is_taken_once():
    """As pairs with a report the slices of a subject are one; latents go along by the same rows."""
    one = split(6, (("report", "xray", "ct", "t1w"),))
    twice = one.take(np.array([0, 0, 1, 2, 2, 2]))

    class Tokens:
        def encode(self, texts, source):
            assert source == "training reports"
            return np.array([[len(text), 0] for text in texts], np.int32)

    class Latents:
        def take(self, rows):
            return {"image": rows.reshape(-1, 1, 1, 1, 1).astype(np.float16)}

    found = pair_source(twice, ("ct", "report"), Tokens(), "training", {"ct": Latents()})
    assert {name: one.kind for name, one in found.modalities.items()} == {
        "ct": "image", "report": "tokens", "ct/image": "latent",
    }  # fmt: skip
    np.testing.assert_array_equal(found.arrays["ct"], one.arrays["ct"][:3])
    np.testing.assert_array_equal(found.arrays["ct/image"].ravel(), [0, 2, 3])
    np.testing.assert_array_equal(
        stored(twice, "report", Tokens(), "training")[[0, 2, 3]], found.arrays["report"]
    )
    assert stored(twice, "ct", None, "training") is twice.arrays["ct"]


def test_maps_that_do_not_fit_are_named():
    data = with_maps(splits())
    with pytest.raises(ValueError, match="no example of the training split has ct and a map"):
        mapped_source(splits().train, "ct", 3, "training")
    with pytest.raises(ValueError, match="with classes up to 2, are not of its ct, .* 2 classes"):
        mapped_source(data.train, "ct", 2, "training")
    found = mapped_source(data.train, "ct", 3, "training")
    assert len(found) == data.train.present["ct"].sum()


def test_examples_are_chosen_evenly_among_those_that_have_all():
    given = split(30, SETS)
    both = np.flatnonzero(together(given, ("ct", "t1w")))
    assert both.tolist() == list(range(2, 30, 3))
    assert examples(given, ("ct", "t1w"), 4).names == ("2", "11", "20", "29")
    assert len(examples(given, ("ct", "t1w"), 99)) == len(both)


def test_the_middle_slice_stands_for_its_subject():
    everything = split(6, (("report", "xray", "ct", "t1w"),))
    given = dataclasses.replace(everything, groups=("a", "b", "b", "b", "c", "c"))
    assert once_per_subject(given, ("ct", "report")).names == ("0", "2", "5")


def test_a_subject_stands_by_what_has_all_that_is_asked_for():
    """Of visits of one subject that show different things the middle one may lack what is compared."""
    given = dataclasses.replace(split(6, SETS), groups=("a",) * 6)
    assert together(given, ("ct", "t1w")).tolist() == [False, False, True] * 2
    assert once_per_subject(given, ("ct", "t1w")).names == ("5",)
    assert len(once_per_subject(given, ("xray", "t1w"))) == 0


def test_a_missing_extra_is_told_before_the_data_are_read(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    cohort = load_config(["--config=configs/medm2g_cohort.py"])  # whose data.root is nowhere
    with pytest.raises(
        ImportError, match=r"\[text\]', or leave 'report' out of --config.model.mod"
    ):
        train(cohort, tmp_path / "w")
    check_library({"modalities": ("t1w", "t2w")})
    with pytest.raises(ImportError, match=r"words need the extra: .*\[text\]'$"):
        check_library({"modalities": ("t1w", "t2w"), "tasks": {}})
