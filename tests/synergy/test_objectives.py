"""What stages minimise, of models without networks: answers by hand, and what is left out."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.synergy import conditions
from msflow_jax.synergy.augmentation import Augmentation
from msflow_jax.synergy.conditions import Shown
from msflow_jax.synergy.objectives import (
    pair_objective,
    reconstruct_objective,
    understand_objective,
)

KINDS, PLACES = 3, 5  # modalities, and places of a slice
# A selection, an identification of four panels, an instruction; 1 + the modality, 0: nothing.
BATCH = {
    "task": jnp.array([0, 1, 2]),
    "answer": jnp.array([2, 0, 3]),
    "modality": jnp.array([[1, 2, 2, 2, 2], [0, 3, 1, 2, 1], [2, 3, 0, 0, 0]]),
}


def measured(sharp, train=False, batch=BATCH):
    """Loss and metrics of a model that is sure of what is right, or of nothing."""
    answer, shown = BATCH["answer"], BATCH["modality"]
    own = jnp.arange(PLACES)
    place = jnp.zeros((3, PLACES, 4, PLACES)).at[jnp.arange(3)[:, None], own, answer[:, None], own]
    letters = sharp * jax.nn.one_hot(answer, 4)
    panels = sharp * jax.nn.one_hot(shown - 1, KINDS)
    said = {
        "letter": letters, "selection": letters, "instruction": letters, "name": panels,
        "panel": panels, "place": place.set(sharp), "back": sharp * jnp.eye(PLACES)[None].repeat(3, 0),
    }  # fmt: skip
    model = SimpleNamespace(answer=lambda params, batch, order, count: said)
    return understand_objective(
        model, 0.5, 1.0, "aligned", {}, batch, jax.random.key(0), train=train
    )


def test_answers_that_are_right_cost_nothing():
    loss, found = measured(50.0)
    assert loss == pytest.approx(0, abs=1e-5)
    rights = {name: value for name, value in found.items() if name.startswith("accuracy")}
    assert len(rights) == 6 and all(value == 1 for value in rights.values()), rights


@pytest.mark.parametrize("train", [False, True])
def test_a_batch_without_a_question_of_a_kind_has_no_mean_of_it(train):
    """A 0 would count as an answer that costs nothing, and as a wrong one."""
    loss, found = measured(0.0, train, {**BATCH, "task": jnp.array([1, 1, 2])})
    none = {"loss_selection", "loss_place", "accuracy_place", "accuracy_selection"}
    assert {name for name, value in found.items() if np.isnan(value)} == none
    assert np.isfinite(loss)


def test_answers_by_chance_cost_the_logarithm_of_what_there_is_to_choose_from():
    loss, _ = measured(0.0)
    place = 0.5 * (np.log(4 * PLACES) + np.log(PLACES))
    direct = np.log(4) + 0.5 * place + np.log(KINDS) + np.log(4)
    read = np.log(4) + np.log(KINDS) + np.log(4)  # panels are named, all else is a letter
    assert loss == pytest.approx((direct + read) / 3, rel=1e-5)


def told(monkeypatch, objective, *dropout):
    """What of (words, content, latents) is given where these shares are left out."""
    given = []

    def read(by, params, words, content, latents):
        given.extend(np.asarray(one) for one in (words, content, latents))
        return ()

    shown = lambda *_, **__: Shown(jnp.zeros((6, 2, 2, 1)), read)  # noqa: E731
    for name in ("paired", "alone"):
        monkeypatch.setattr(conditions, name, shown)
    model = SimpleNamespace(
        modalities={"t1w": None}, time="uniform", prediction="data",
        encode=lambda params, name, x: x, draw=lambda params, z, tau: z,
    )  # fmt: skip
    more = (Augmentation(), (), True) if objective is pair_objective else (0.0, Augmentation())
    objective(model, dropout, *more, {}, {}, jax.random.key(0))
    assert all(len(set(one.tolist())) == 1 for one in given)
    return [one[0] for one in given]


@pytest.mark.parametrize(
    ("dropout", "given"),
    [((1.0, 0.0, 0.0), [0, 1, 1]), ((0.0, 1.0, 0.0), [1, 1, 0]), ((0.0, 0.0, 1.0), [1, 0, 1])],
)
def test_words_latents_and_content_of_a_pair_are_left_out_apart(monkeypatch, dropout, given):
    assert told(monkeypatch, pair_objective, *dropout) == given


@pytest.mark.parametrize(("dropout", "given"), [((1.0, 0.0), [1, 0, 0]), ((0.0, 1.0), [0, 1, 1])])
def test_content_and_words_of_an_image_are_left_out_apart(monkeypatch, dropout, given):
    """Its latents are content: they go with it."""
    assert told(monkeypatch, reconstruct_objective, *dropout) == given
