"""Instances as arrays of a batch: the same shapes in every arm, made when they are read."""

import pickle
import warnings

import numpy as np
import pytest

from msflow_jax.data.streaming import Batches, Stream
from msflow_jax.paired.tokens import Tokeniser
from msflow_jax.synergy.instances import IDENTIFICATION, INSTRUCTION, SELECTION
from msflow_jax.synergy.task_split import IMAGES, TaskSplit
from msflow_jax.synergy.tasks import ARMS, texts
from msflow_jax.training.source import Source
from tests.synergy.cohorts import NAMES, PAIRED_ARMS, cohort, tasks

pytest.importorskip("tokenizers")
COUNT = 240


@pytest.fixture(scope="module")
def tokeniser():
    """Of all texts, with no room to spare."""
    return Tokeniser.fit(texts(tasks()), margin=1.0)


@pytest.fixture(scope="module")
def splits(tokeniser):
    """By arm, of one cohort."""
    split = cohort(facts=True)
    return {arm: TaskSplit(tasks(split, arm=arm), COUNT, tokeniser) for arm in ARMS}


def test_arms_have_equal_shapes_images_and_tokens(splits):
    """No prompt is cut, and no word unknown, in any of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = {arm: splits[arm].arrays() for arm in ARMS}
    shapes = [{n: (a.shape, a.dtype) for n, a in arrays.items()} for arrays in found.values()]
    assert all(one == shapes[0] for one in shapes)
    aligned = found["aligned"]
    for arm in PAIRED_ARMS:
        for name in ("task", "modality"):
            np.testing.assert_array_equal(found[arm][name], aligned[name])
        used = [(found[arm][name] > 0).any(axis=(1, 2, 3)) for name in IMAGES]
        np.testing.assert_array_equal(np.stack(used, axis=1), aligned["modality"] > 0)
    assert aligned["prompt"][:, -1].any() or (aligned["prompt"] > 0).sum(axis=1).max() > 10


def test_arrays_say_what_instances_do(splits, tokeniser):
    for arm in ("aligned", "questions"):
        made = splits[arm]
        arrays, split = made.arrays(), made.tasks.split
        Source(arrays, made.modalities)  # each is of its kind
        width = arrays["options"].shape[1] // 4
        for i in range(60):
            one = made.tasks.instance(i)
            assert (arrays["task"][i], arrays["answer"][i]) == (one.task, one.answer)
            assert tuple(arrays["modality"][i] - 1) == one.modality
            assert tuple(arrays["route"][i] - 1) == made.tasks.route(one)
            assert (arrays["facts"][i].reshape(5, 4) - 1 == made.tasks.facts(one)).all()
            (prompt,) = tokeniser.decode(arrays["prompt"][i : i + 1])
            assert prompt == one.prompt
            options = tokeniser.decode(arrays["options"][i].reshape(4, width))
            assert tuple(options) == one.options
            for slot, (k, row) in enumerate(zip(one.modality, one.rows, strict=True)):
                image = arrays[f"image_{slot}"][i]
                expected = split.arrays[NAMES[k]][row] if k >= 0 else np.zeros_like(image)
                np.testing.assert_array_equal(image, expected)
    used = {SELECTION: 5, IDENTIFICATION: 4, INSTRUCTION: 2}
    slots = (arrays["modality"] > 0).sum(axis=1)
    assert all(slots[i] == used[task] for i, task in enumerate(arrays["task"]))


def test_rows_are_made_when_they_are_read(splits):
    """In any order, by a copy in another process, and in a stream."""
    made = splits["aligned"]
    arrays, index = made.arrays(), np.array([7, 3, 3, 200])
    copy = pickle.loads(pickle.dumps(made))
    assert not copy._made and len(made) == len(made.names) == COUNT and made.present == {}
    for name in made.modalities:
        np.testing.assert_array_equal(copy.rows(name, index), arrays[name][index])
        assert copy.rows(name, np.zeros(0, int)).shape == (0, *made.modalities[name].shape)
    assert set(copy._made) == {7, 3, 200}
    stream = Stream(made, arrays={name: name for name in made.modalities})
    batch = Batches(stream, steps=3, batch=8, part=(0, 8), seed=0)[1]
    for name in made.modalities:
        np.testing.assert_array_equal(batch[name], arrays[name][batch["index"]])


def test_what_is_not_there_is_refused(splits, tokeniser):
    made = splits["aligned"]
    with pytest.raises(ValueError, match=r"no 'image'; they have image_0, "):
        made.rows("image", np.arange(2))
    with pytest.raises(ValueError, match=rf"instances 1 to {COUNT} of {COUNT}"):
        made.rows("task", np.array([1, COUNT]))
    with pytest.raises(ValueError, match=r"0 instances: ask for at least one"):
        TaskSplit(made.tasks, 0, tokeniser)
