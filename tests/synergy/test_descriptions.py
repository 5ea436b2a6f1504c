"""Understanding tasks: what descriptions and questions say is true, in every arm."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.data.slices import SLICE
from msflow_jax.synergy import phrases
from msflow_jax.synergy.instances import IDENTIFICATION, INSTRUCTION, NO_ROUTE, SELECTION
from msflow_jax.synergy.questions import brightest
from msflow_jax.synergy.tasks import ARMS, LETTERS, texts
from tests.synergy.cohorts import NAMES, PAIRED_ARMS, cohort, instances, of_task, tasks

WITHHELD = (("t1w", "flair"), ("ct", "t2w"))


def routes_said(text, words):
    """Routes that a text names, by its descriptions."""
    return {
        (a, b)
        for a, b in itertools.permutations(words, 2)
        for pattern in phrases.DESCRIPTIONS
        if text == pattern.format(source=words[a], target=words[b])
    }


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("held_out", [False, True])
def test_withheld_routes_are_nowhere(arm, held_out):
    split = cohort(facts=True)
    made = tasks(split, arm=arm, held_out=held_out, withhold=WITHHELD)
    words, routes = made.words, set()
    for one in instances(made, 600):
        if (route := made.route(one)) != NO_ROUTE:
            routes.add(tuple(NAMES[k] for k in route))
        if arm != "questions" and one.task == INSTRUCTION:
            said = set().union(*(routes_said(option, words) for option in one.options))
            assert len(said) == 4 and not said & set(WITHHELD)
    every = set(itertools.permutations(NAMES, 2)) - set(WITHHELD)
    assert routes == (set() if arm == "questions" else every)  # the reverse ones among them
    shown = [o for o in instances(made, 600) if o.task != IDENTIFICATION]
    assert not {(NAMES[o.modality[0]], NAMES[o.modality[1]]) for o in shown} & set(WITHHELD)


@pytest.mark.parametrize("held_out", [False, True])
def test_descriptions_are_true_reversed_and_of_two_wrong_pairs(held_out):
    made = tasks(held_out=held_out)
    pool = phrases.DESCRIPTIONS[-2:] if held_out else phrases.DESCRIPTIONS[:-2]
    assert len(phrases.DESCRIPTIONS) >= 6
    for one in of_task(instances(made), INSTRUCTION):
        said = [routes_said(option, made.words) for option in one.options]
        assert all(len(routes) == 1 for routes in said)
        said = [next(iter(routes)) for routes in said]
        source, target = (NAMES[k] for k in one.modality[:2])
        assert said[one.answer] == (source, target) and (target, source) in said
        wrong = [route for route in said if set(route) != {source, target}]
        assert len(set(said)) == 4 and wrong[0] == wrong[1][::-1]
        of_pool = {
            p.format(source=made.words[a], target=made.words[b]) for p in pool for a, b in said
        }
        assert set(one.options) <= of_pool
        assert one.prompt.endswith(
            " ".join(f"{k}: {o}" for k, o in zip("ABCD", one.options, strict=True))
        )


@settings(max_examples=40)
@given(withheld=st.sets(st.sampled_from([*itertools.permutations(range(4), 2)]), max_size=8))
def test_four_descriptions_wherever_four_routes_are_left(withheld):
    routes = tuple((NAMES[a], NAMES[b]) for a, b in sorted(withheld))
    made = tasks(withhold=routes)
    for one in instances(made, 20):
        if one.task == INSTRUCTION:
            assert len(set(one.options)) == 4
            assert routes_said(one.options[one.answer], made.words) == {
                tuple(NAMES[k] for k in one.modality[:2])
            }


def test_held_out_phrasings_are_other_ones():
    for pool in (phrases.SELECTION, phrases.IDENTIFICATION, phrases.INSTRUCTION):
        assert len(set(pool)) == len(pool)
    prompts = [
        {re.sub(r" A: .*", "", one.prompt) for one in instances(tasks(held_out=held), 400)}
        for held in (False, True)
    ]
    assert not prompts[0] & prompts[1]


def test_questions_are_true_of_their_image_alone():
    split = cohort(facts=True, side=12)
    made, kinds = tasks(split, arm="questions"), set()
    for one in instances(made, 400):
        (kind,) = [k for k, some in phrases.OPTIONS.items() if set(some) == set(one.options)]
        named = [k for k, place in enumerate(phrases.PLACES) if place in one.prompt]
        (slot,) = named
        row, name = one.rows[slot], NAMES[one.modality[slot]]
        right = phrases.OPTIONS[kind].index(one.options[one.answer])
        kinds.add(kind)
        # All kinds are known of every image that there is, of which the question is one.
        facts = made.facts(one)
        known = facts[slot, list(phrases.OPTIONS).index(kind)]
        assert known == right or (
            kind in (phrases.SIDE, phrases.SIZE) and (known, right) == (-1, 0)
        )
        np.testing.assert_array_equal((facts >= 0).any(axis=1), np.array(one.rows) >= 0)
        if kind == phrases.LEVEL:
            assert right == 4 * (split.truth[SLICE][row] - 3) // 7
        elif kind == phrases.QUADRANT:
            image = split.arrays[name][row, ..., 0].astype(float)
            means = [image[a : a + 6, b : b + 6].mean() for a in (0, 6) for b in (0, 6)]
            assert right == int(np.argmax(means))
        else:
            lesion = split.arrays["map"][row] == 5
            halves = (lesion[:, :6].any(), lesion[:, 6:].any())
            sizes = (0, 1e-9, 0.003, 0.01)
            expected = halves[0] + 2 * halves[1] if kind == phrases.SIDE else (
                max(k for k, least in enumerate(sizes) if lesion.mean() >= least)
            )  # fmt: skip
            assert right == expected
        assert made.route(one) == NO_ROUTE and made.reply(one) == LETTERS[one.answer]
    assert kinds == set(phrases.QUESTIONS)


def test_without_facts_nothing_is_asked_of_lesions():
    made = tasks(arm="questions")
    assert (made.facts(made.instance(0))[:, 2:] == -1).all()
    assert (tasks().facts(made.instance(0)) == -1).all()  # nor in other arms at all
    words = " ".join(one.prompt for one in instances(tasks(arm="questions")))
    assert "lesion" not in words
    assert brightest(np.zeros((4, 4, 1), np.uint8)) is None
    assert brightest(np.eye(5, dtype=np.uint8)[..., None]) is None  # two alike


def test_what_a_modality_lacks_or_does_not_show_is_in_no_pair():
    split = cohort(4, lacks=[(0, "ct"), (1, "ct")])
    black = np.flatnonzero(split.truth[SLICE] == 3)
    split.arrays["t1w"][black] = 0
    made = tasks(split)
    gone = {f"secret{k}" for k in (0, 1)}
    for one in instances(made, 600):
        for slot, (k, row) in enumerate(zip(one.modality, one.rows, strict=True)):
            if k >= 0 and NAMES[k] == "ct":
                assert split.groups[row] not in gone
            if k >= 0 and NAMES[k] == "t1w" and row in black:  # a wrong candidate at most
                assert one.task == SELECTION and slot not in (0, 1 + one.answer)
    # Two modalities that no example has both: their route is skipped, others stay.
    apart = [(k, "ct") for k in (0, 1)] + [(k, "t1w") for k in (2, 3)]
    routes = {tuple(NAMES[k] for k in route) for route in tasks(cohort(4, lacks=apart)).pairs}
    assert routes == set(itertools.permutations(NAMES, 2)) - {("ct", "t1w"), ("t1w", "ct")}


def test_texts_are_all_that_is_said():
    split = cohort(facts=True)
    options, said = set(), set()
    for arm, held_out in itertools.product(PAIRED_ARMS, (False, True)):
        made = tasks(split, arm=arm, held_out=held_out)
        for one in instances(made, 400):
            options |= set(one.options)
            said |= set(re.findall(r"\w+", f"{one.prompt} {made.reply(one)}"))
    assert options <= set(texts(made))
    assert said <= set(re.findall(r"\w+", " ".join(texts(made))))
    assert texts(made) == texts(tasks(split))
