"""Understanding tasks: what candidates and panels may hold, in every arm."""

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.data.slices import NO_SLICE, SLICE, VOLUME
from msflow_jax.synergy import phrases
from msflow_jax.synergy.instances import IDENTIFICATION, INSTRUCTION, SELECTION
from msflow_jax.synergy.tasks import ARMS, SHARES, SLOTS, TASKS
from tests.synergy.cohorts import NAMES, PAIRED_ARMS, cohort, instances, of_task, tasks


@settings(max_examples=60)
@given(
    slices=st.integers(4, 9), subjects=st.integers(1, 4), low=st.integers(1, 4),
    more=st.integers(0, 5), seed=st.integers(0, 99), lacks=st.booleans(),
)  # fmt: skip
def test_candidates_hold_the_target_once_among_slices_of_its_volume(
    slices, subjects, low, more, seed, lacks
):
    reach = (low, low + more)
    split = cohort(subjects, slices, seed=seed, lacks=[(0, "ct")] if lacks else ())
    made = tasks(split, seed=seed, reach=reach, arm="no_identification")
    volume, number = split.truth[VOLUME], split.truth[SLICE]
    for one in instances(made, 20):
        if one.task != SELECTION:
            continue
        source, *panels = one.rows
        assert panels[one.answer] == source and len(set(panels)) == 4
        assert set(volume[panels]) == {volume[source]}
        (target,) = set(one.modality[1:])
        assert target != one.modality[0]
        assert all(split.present.get(NAMES[target], np.ones(len(split), bool))[panels])
        away = np.abs(number[[row for row in panels if row != source]] - number[source])
        within = [
            k for k in number[volume == volume[source]] if reach[0] <= abs(k - number[source])
        ]
        within = [k for k in within if abs(k - number[source]) <= reach[1]]
        if len(within) >= 3:
            assert reach[0] <= away.min() <= away.max() <= reach[1]
        else:  # all that the reach holds, then the nearest further ones
            assert {*within} <= {*number[panels].tolist()}


def test_the_place_among_candidates_does_not_tell_the_target():
    """Before or between or behind the others, where the volume leaves room for all of it."""
    split = cohort(3, 13)
    made = tasks(split, arm="no_instruction")
    number, counts = split.truth[SLICE], np.zeros(4, int)
    for one in of_task(instances(made, 1500), SELECTION):
        if 6 <= number[one.rows[0]] <= 12:
            counts[(number[list(one.rows[1:])] < number[one.rows[0]]).sum()] += 1
    expected = counts.sum() / 4
    assert ((counts - expected) ** 2 / expected).sum() < 16.3  # p = 0.001 of 3 degrees of freedom


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("held_out", [False, True])
def test_letters_are_uniform(arm, held_out):
    split = cohort(facts=True)
    made = tasks(split, arm=arm, held_out=held_out, seed=3)
    found = instances(made, 2000)
    lettered = [one for one in found if arm == "questions" or one.task != IDENTIFICATION]
    counts = np.bincount([one.answer for one in lettered], minlength=4)
    expected = len(lettered) / 4
    assert ((counts - expected) ** 2 / expected).sum() < 16.3
    assert all(one.answer == 0 for one in found if one not in lettered)


@pytest.mark.parametrize("arm", ARMS)
def test_the_mixture_is_the_papers(arm):
    found = instances(tasks(arm=arm), 2000)
    shares = np.bincount([one.task for one in found], minlength=3) / len(found)
    expected = np.array(SHARES) * [arm != f"no_{task}" for task in TASKS]
    assert np.abs(shares - expected / expected.sum()).max() < 0.04
    assert ((shares == 0) == (expected == 0)).all()


@settings(max_examples=25)
@given(arm=st.sampled_from(ARMS), seed=st.integers(0, 2**40), order=st.permutations(range(12)))
def test_an_instance_depends_on_seed_and_index_alone(arm, seed, order):
    split = cohort(facts=True)
    first = {i: tasks(split, arm=arm, seed=seed).instance(i) for i in range(12)}
    made = tasks(split, arm=arm, seed=seed)
    assert {i: made.instance(i) for i in order} == first
    other = tasks(split, arm=arm, seed=seed + 1)
    assert [other.instance(i) for i in range(12)] != [first[i] for i in range(12)]


def test_arms_show_the_same_images_where_they_promise():
    split = cohort(facts=True)
    found = {arm: instances(tasks(split, arm=arm, seed=5)) for arm in PAIRED_ARMS}
    volume, number = split.truth[VOLUME], split.truth[SLICE]
    for aligned, alone, permuted, easy in zip(*found.values(), strict=True):
        same = ("task", "rows", "modality")
        assert [getattr(aligned, key) for key in same] == [getattr(alone, key) for key in same]
        for other in (permuted, easy):
            for key in ("task", "modality", "prompt", "options", "answer"):
                assert getattr(aligned, key) == getattr(other, key)
        if aligned.task == IDENTIFICATION:
            assert permuted == easy == aligned
            continue
        assert permuted.rows[1:] == aligned.rows[1:]
        assert volume[permuted.rows[0]] != volume[aligned.rows[0]]
        there = [row for row in aligned.rows if row >= 0]
        assert number[permuted.rows[0]] not in number[there]
        if aligned.task == INSTRUCTION:
            assert easy == aligned
            continue
        right = 1 + aligned.answer
        assert (easy.rows[0], easy.rows[right]) == (aligned.rows[0], aligned.rows[right])
        wrong = [row for slot, row in enumerate(easy.rows) if slot not in (0, right)]
        assert len(set(wrong)) == 3
        assert all(volume[row] != volume[easy.rows[0]] for row in wrong)
        assert all(number[row] != number[easy.rows[0]] for row in wrong)


def test_panels_are_of_different_slices_and_often_of_one_kind():
    split = cohort(facts=True)
    found = of_task(instances(tasks(split), 1500), IDENTIFICATION)
    for one in found:
        assert one.rows[0] == one.modality[0] == -1 and len(set(one.rows[1:])) == 4
        assert min(one.modality) == -1 and min(one.modality[1:]) >= 0
    mixed = sum(3 in one.modality and set(one.modality[1:]) != {3} for one in found)
    assert 0 < mixed < len(found) * 0.6  # drawn alike, two of three would have CT beside MR
    made = tasks(split)
    names = [made.words[NAMES[k]] for k in found[0].modality[1:]]
    assert made.reply(found[0]) == phrases.names_line(names)


def picture(split):
    """An X-ray: one picture for all slices."""
    split.arrays["t1w"][:] = split.arrays["t1w"][:1]
    return split


def unsliced(split, **truth):
    return dataclasses.replace(split, truth={**split.truth, **truth})


ONE = ("t1w",)
BAD = {
    "arm": (dict(arm="best"), "unknown arm 'best': choose one of aligned, questions"),
    "seed": (dict(seed=-1), "seed -1 is negative"),
    "reach": (dict(reach=(0, 3)), "reach 0 to 3 .*at least 1"),
    "falls": (dict(reach=(3, 2)), "reach 3 to 2"),
    "one": (dict(names=ONE), "modalities t1w: .*two or more"),
    "twice": (dict(names=("t1w", "t1w")), "modalities t1w, t1w: .*once"),
    "unknown": (dict(names=("t1w", "pet")), "no modality 'pet': there are t1w, t2w, flair, ct"),
    "word": (dict(words={"t1w": "T1"}), "modality 't2w' has no word: say what"),
    "same": (dict(words=dict.fromkeys(NAMES, "MR")), "two modalities are called 'MR'"),
    "withheld": (dict(withhold=(("t1w", "pet"),)), "t1w-pet has the unknown modality 'pet'.*of t1w"),
    "few": (dict(names=("t1w", "ct")), "2 routes can be described.*no_instruction"),
    "pairs": (
        dict(split=cohort(2, lacks=[(0, "t1w"), (1, "ct")]), names=("t1w", "ct")),
        "no example shows two of t1w, ct.*paired data",
    ),
    "short": (dict(split=cohort(3, 3)), "3 of 3 subjects have fewer than 4 slices in t1w.*data.slices"),
    "slice": (dict(split=cohort(3, 1)), "3 of 3 subjects have fewer than 4"),
    "alone": (dict(split=cohort(1), arm="permuted"), "permuted exchanges .*more subjects"),
    "easily": (dict(split=cohort(1), arm="easy"), "easy exchanges .*more subjects"),
    "picture": (dict(split=picture(cohort())), "t1w is the same picture in all slices"),
    "unsliced": (dict(split=unsliced(cohort(), **{SLICE: np.full(35, NO_SLICE)})), "are no slices"),
    "shape": (
        dict(split=dataclasses.replace(
            cohort(), arrays={**cohort().arrays, "ct": np.ones((35, 9, 9, 1), np.uint8)}
        )),
        r"ct is \[9, 9, 1\], but t1w \[6, 6, 1\].*data.side",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", BAD)
def test_what_cannot_be_asked_is_one_line(wrong):
    given_, message = BAD[wrong]
    with pytest.raises(ValueError, match=message) as error:
        tasks(**given_)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a picture", "z picture"])
def test_examinations_of_pictures_alone_change_no_instance(name):
    """They are in no volume: those that are keep their candidates, whatever pictures are called."""
    plain = cohort(facts=True)
    last = np.r_[np.arange(len(plain)), 0]
    truth = {key: np.asarray(of)[last] for key, of in plain.truth.items()}
    truth[VOLUME] = np.array([*plain.truth[VOLUME], name])
    truth[SLICE] = np.r_[plain.truth[SLICE], NO_SLICE]
    more = dataclasses.replace(
        plain, arrays={key: of[last] for key, of in plain.arrays.items()}, truth=truth,
        names=(*plain.names, name), groups=(*plain.groups, name),
    )  # fmt: skip
    for arm in ("no_identification", "questions"):
        pair = tasks(plain, arm=arm), tasks(more, arm=arm)
        assert instances(pair[0], 60) == instances(pair[1], 60)


def test_arms_without_a_task_need_less():
    assert tasks(names=("t1w", "ct"), arm="no_instruction").instance(0)
    assert tasks(cohort(3, 2), arm="no_selection").instance(0)
    split = cohort(2, 4)
    split.truth[SLICE][split.truth[VOLUME] == "v0"] += 1  # two places of the other volume are taken
    with pytest.raises(ValueError, match=r"of other subjects .*needs 3: give more subjects"):
        instances(tasks(split, arm="easy"))


def test_tasks_can_be_pickled():
    made = tasks(arm="easy")
    assert pickle.loads(pickle.dumps(made)).instance(7) == made.instance(7)
    assert SLOTS == len(made.instance(0).rows) == len(made.instance(0).modality)
