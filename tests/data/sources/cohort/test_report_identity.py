"""The texts of a cohort's reports are part of what it is."""

import dataclasses

import pytest

from msflow_jax import data
from tests.data.sources.cohort.cohorts import cohort, load, table

NO_CT = {"ct": None, "xray": None}


def texts(i):
    return "" if i == 3 else f"finding {i}"


@pytest.fixture
def then(tmp_path):
    return load(table(tmp_path, cohort(tmp_path, report=texts, **NO_CT)))


def test_other_texts_of_the_same_images_are_refused(tmp_path, then):
    same = load(table(tmp_path, cohort(tmp_path, report=texts, **NO_CT)[::-1]))
    assert data.as_trained(same, then.info).info.identity == then.info.identity

    def exchanged(i):
        return texts({0: 1, 1: 0}.get(i, i))

    for others in (exchanged, lambda i: texts(i + 1), lambda i: texts(i).upper()):
        now = load(table(tmp_path, cohort(tmp_path, report=others, **NO_CT)))
        with pytest.raises(
            ValueError, match=r"not hold the data of this run: the texts of reports"
        ):
            data.as_trained(now, then.info)


def test_runs_that_do_not_know_theirs_go_on(tmp_path, then):
    old = {key: one for key, one in then.info.identity.items() if key != "reports"}
    before = dataclasses.replace(then.info, identity=old)
    assert data.as_trained(then, before).info.identity["reports"]
    without = load(table(tmp_path, cohort(tmp_path, **NO_CT)))
    assert "reports" not in without.info.identity
    data.as_trained(without, then.info)
