"""What a drawing depends on, and what a model refuses."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.nets import init_params
from msflow_jax.ode import SOLVERS
from msflow_jax.synergy import recipes
from msflow_jax.synergy.checks import unguided
from msflow_jax.synergy.encoder import ContentEncoder, Seen
from msflow_jax.synergy.family import FAMILY
from msflow_jax.synergy.generation import LEAST
from msflow_jax.synergy.model import Synergy
from msflow_jax.synergy.objectives import understand_objective
from tests.paired.tiny import untimed
from tests.synergy import tiny


def velocity(model, params, seen, keep=None, told=1.0, latents=None):
    z = jax.random.normal(jax.random.key(1), (3, 8, 8, 1))
    prompt = jnp.asarray([model.routes["t1w", "ct"][0]] * 3)
    memory = model.remember(params, prompt, jnp.full(3, told), seen, keep, latents)
    return model.velocity(params, z, jnp.full(3, 0.5), *memory)


def test_joint_attention_is_the_only_way_from_understanding_to_drawing():
    model, params = tiny.model(), tiny.params()
    seen = model.see(params, jnp.asarray(tiny.images()))
    run = jax.jit(functools.partial(velocity, model))
    before = run(params, seen)
    chex.assert_shape(before, (3, 8, 8, 1))
    other = Seen(seen.content + 1, seen.look)
    assert np.abs(run(params, other) - before).max() > 1e-5
    # Cut off, whatever understanding is changes exactly nothing.
    none, changed = jnp.zeros((3, 2)), {**params, "understanding": tiny.params(5)["understanding"]}
    cut = run(params, seen, none, told=0.0)
    for p, s in ((params, other), (changed, seen)):
        np.testing.assert_array_equal(cut, run(p, s, none, told=0.0))
    assert np.abs(run(changed, seen) - before).max() > 1e-5


def test_an_image_that_is_predicted_is_where_the_velocity_leads():
    model, params = tiny.model(prediction="data"), tiny.params()
    seen = model.see(params, jnp.asarray(tiny.images()))
    memory = model.remember(params, jnp.zeros((3, 1), jnp.int32), jnp.zeros(3), seen)
    z = jax.random.normal(jax.random.key(1), (3, 8, 8, 1))
    draw, velocity = jax.jit(model.draw), jax.jit(model.velocity)
    for tau, left in ((0.0, 1.0), (0.75, 0.25), (1.0, 0.05)):
        image = draw(params, z, jnp.full(3, tau), *memory)
        found = velocity(params, z, jnp.full(3, tau), *memory)
        np.testing.assert_allclose(z + left * found, image, atol=1e-5)
    # However many steps there are, the last one ends on what is predicted there.
    for steps in (2, 50):
        last = jnp.full(3, 1 - 1 / steps)
        found = velocity(params, z, last, *memory, min(LEAST, 1 / steps))
        np.testing.assert_allclose(z + found / steps, draw(params, z, last, *memory), atol=1e-5)
    with pytest.raises(ValueError, match="prediction='noise'"):
        tiny.model(prediction="noise")
    with pytest.raises(ValueError, match="time='early'"):
        tiny.model(time="early")


def test_each_condition_can_be_left_out_alone():
    model, params = tiny.model(), tiny.params()
    x = jnp.asarray(tiny.images())
    seen = model.see(params, x)
    run = jax.jit(functools.partial(velocity, model))
    whole = run(params, seen, latents=x)
    less = [
        run(params, seen, jnp.array([[0.0, 1.0]] * 3), latents=x),
        run(params, seen, jnp.array([[1.0, 0.0]] * 3), latents=x),
        run(params, seen, told=0.0, latents=x),
        run(params, seen),
    ]
    for one in less:
        assert np.abs(one - whole).max() > 1e-6
    # What is left out says nothing, whatever it is.
    others = Seen(seen.content + 1, seen.look), Seen(seen.content, seen.look + 1)
    for other, given in zip(others, ([0.0, 1.0], [1.0, 0.0]), strict=True):
        keep = jnp.array([given] * 3)
        np.testing.assert_array_equal(run(params, other, keep), run(params, seen, keep))


def test_a_fresh_model_draws_nothing_yet():
    model = tiny.model()
    params = model.init(jax.random.key(0))
    seen = model.see(params, jnp.asarray(tiny.images()))
    run = jax.jit(functools.partial(velocity, model))
    np.testing.assert_array_equal(run(params, seen), 0)


@pytest.mark.parametrize("patch, view", [(1, 1), (2, 2), (4, 4)])
def test_a_content_token_sees_little(patch, view):
    net = ContentEncoder(features=3, width=4, patch=patch)
    x = jnp.zeros((1, 32, 32, 1))
    variables = {"params": init_params(net, jax.random.key(0), x)}
    base = net.apply(variables, x)[0]
    moved = net.apply(variables, x.at[0, 0, 0].set(1.0))[0]
    side = 32 // patch
    changed = np.abs(moved - base).max(axis=-1).reshape(side, side) > 0
    reach = np.flatnonzero(changed.any(axis=1)).max()
    assert reach * patch <= view


def test_translation_guides_and_its_noise_is_by_content():
    model, params = tiny.model(), tiny.params()
    x, key = jnp.asarray(tiny.images()), jax.random.key(0)

    @functools.partial(jax.jit, static_argnames=("guidance", "image_guidance"))
    def draw(params, x, **weights):
        return model.translate(params, {"t1w": x}, key, target="ct", steps=2, **weights)

    found = draw(params, x)
    chex.assert_shape(found, (3, 8, 8, 1))
    np.testing.assert_allclose(draw(params, x[::-1]), found[::-1], atol=1e-5)
    for weight in ("guidance", "image_guidance"):
        guided = draw(params, x, **{weight: 3.0})
        assert np.abs(guided - found).max() > 1e-6
    for sources, target in (({}, "ct"), ({"t1w": x, "t2w": x}, "ct"), ({"ct": x}, "ct")):
        with pytest.raises(ValueError, match="give one other modality"):
            model.translate(params, sources, key, target=target)
    with pytest.raises(ValueError, match="no modality 'pet'"):
        model.translate(params, {"t1w": x}, key, target="pet")
    never = tiny.model(dropout={"words": 0.0, "content": 0.3, "latents": 0.3})
    with pytest.raises(ValueError, match="guidance=3: .*model.dropout"):
        never.translate(params, {"t1w": x}, key, target="ct", guidance=3.0)


@pytest.mark.parametrize("solver", [one for one in SOLVERS if one != "euler"])
def test_a_predicted_image_is_drawn_by_euler_alone(solver):
    """Others ask for a velocity where no time is left, and noise of the start stays."""
    config = tiny.config(prediction="data")
    FAMILY.check(config)
    config.sample.translate.solver = solver
    says = "solver='.*' leaves noise .*model.prediction='data'.*choose 'euler'"
    with pytest.raises(ValueError, match=f"sample.translate.{says}"):
        FAMILY.check(config)
    given = dict(params=None, sources={"t1w": tiny.images()}, key=None, target="ct", solver=solver)
    with pytest.raises(ValueError, match=f"^{says}"):
        tiny.model(prediction="data").translate(**given)
    config.model.prediction = "velocity"
    FAMILY.check(config)


def test_a_perfect_prediction_is_the_image_after_euler_steps(monkeypatch):
    monkeypatch.setattr(
        Synergy, "draw", lambda self, params, z, *_: jnp.full(z.shape, 0.25, jnp.float32)
    )
    model, params, x = tiny.model(prediction="data"), tiny.params(), jnp.asarray(tiny.images())
    for shift in (1.0, 3.0):
        found = jax.jit(
            lambda p, x, shift=shift: model.translate(
                p, {"t1w": x}, jax.random.key(0), target="ct", steps=5, shift=shift
            )
        )(params, x)
        np.testing.assert_allclose(found, 0.25, atol=1e-5)


def test_a_solver_that_chooses_its_steps_draws_several_as_each_alone():
    model, params = tiny.model(), untimed(tiny.params(size=0.1))
    x, key = jnp.asarray(tiny.images()), jax.random.key(0)
    draw = jax.jit(
        lambda params, x: model.translate(
            params, {"t1w": x}, key, target="ct", solver="tsit5", guidance=2.0
        )
    )
    found = draw(params, x)
    chex.assert_shape(found, (3, 8, 8, 1))
    for i in range(3):
        np.testing.assert_allclose(found[i], draw(params, x[i : i + 1])[0], atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_answers_of_equal_content_are_right():
    model, params = tiny.model(), tiny.params()
    batch = tiny.batch()
    # The source shown again is a selection that content alone solves.
    select = batch["task"] == 0
    right = jnp.stack([batch[f"image_{i + 1}"] for i in range(4)], 1)[
        jnp.arange(len(select)), batch["answer"]
    ]
    given = {**batch, "image_0": right}
    measured = functools.partial(understand_objective, model, 1.0, 1.0, "aligned")
    loss, metrics = jax.jit(measured)(params, given, jax.random.key(0))
    assert metrics["accuracy_selection"] == 1 and np.isfinite(loss)
    found = jax.jit(model.answer)(params, batch)
    n = len(select)
    chex.assert_shape([found[k] for k in ("letter", "selection", "instruction")], (n, 4))
    chex.assert_shape([found["name"], found["panel"]], (n, 5, 4))
    chex.assert_shape(found["place"], (n, 16, 4, 16))
    chex.assert_shape(found["back"], (n, 16, 16))


def test_questions_on_one_image_teach_the_encoders():
    model, params, batch = tiny.model(), tiny.params(), tiny.batch("questions")
    chex.assert_shape(jax.jit(model.answer)(params, batch)["facts"], (12, 5, 4, 4))

    def loss(params, batch):
        return understand_objective(
            model, 1.0, 1.0, "questions", params, batch, jax.random.key(0), train=True
        )[0]

    # What is not known is not in the loss; without facts nothing is left to learn but the letter.
    none = {**batch, "facts": jnp.zeros_like(batch["facts"])}
    measured = jax.jit(jax.value_and_grad(loss))
    (known, found), (unknown, without) = measured(params, batch), measured(params, none)
    assert 0 < unknown < known
    found = jax.tree.map(jnp.subtract, found, without)
    for part in ("content", "look"):
        assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(found[part])) > 1e-6


def test_a_question_on_one_image_is_read_as_it_was_trained():
    """Its four options at the length of the loss, of ``facts``; longer texts as they are."""
    model, params, batch = tiny.model(), tiny.params(size=0.3), tiny.batch("questions")
    alone = jnp.asarray(model.alone)
    kind = jnp.arange(len(batch["answer"])) % 4
    rows = alone.reshape(4, 4, -1)[kind]
    width = batch["options"].shape[1] // 4
    assert width > rows.shape[2]
    options = jnp.pad(rows, ((0, 0), (0, 0), (0, width - rows.shape[2])))
    given = {**batch, "options": options.reshape(len(kind), -1)}
    found = jax.jit(model.answer)(params, given)
    each = jnp.arange(len(kind))
    np.testing.assert_allclose(
        found["question"], found["facts"][each, batch["asked"], kind], atol=1e-4
    )
    longer = options.at[:, 0, -1].set(1)
    other = jax.jit(model.answer)(params, {**given, "options": longer.reshape(len(kind), -1)})
    np.testing.assert_array_equal(other["question"][:, 1:], found["question"][:, 1:])
    assert np.abs(other["question"][:, 0] - found["question"][:, 0]).min() > 1e-3


def test_the_expert_reads_a_share_in_training_and_all_in_validation():
    model, params, batch = tiny.model(), tiny.params(), tiny.batch()
    answer = jax.jit(model.answer, static_argnames="lettered")
    few = answer(params, batch, lettered=2)
    chex.assert_shape(few["letter"], (2, 4))
    np.testing.assert_allclose(few["letter"], answer(params, batch)["letter"][:2], atol=1e-5)

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def loss(letters, train):
        key = jax.random.key(0)
        return understand_objective(
            model, 1.0, letters, "aligned", params, batch, key, train=train
        )[0]

    assert loss(0.1, False) == loss(1.0, False) == pytest.approx(float(loss(1.0, True)), rel=1e-5)
    assert loss(0.1, True) != loss(1.0, True)


@pytest.mark.parametrize(
    "change, says",
    [
        (dict(stages=("generate", "draw")), "model.stages"),
        (dict(stages=("generate", "understand")), "in this order"),
        (dict(stages=("understand",)), "draws nothing"),
        (dict(tasks=dict(replay=0.5)), "needs model.stages with prior"),
        (dict(tasks=dict(arm="random"), frozen=False), "learns nothing"),
        (dict(modalities=("t1w",)), "no route to learn"),
    ],
)
def test_refused(change, says):
    with pytest.raises(ValueError, match=says):
        FAMILY.check(tiny.config(**change))


@pytest.mark.parametrize(
    "part, change, says",
    [
        ("tasks", dict(arm="other"), "model.tasks.arm"),
        ("tasks", dict(withhold=("t1w-pet",)), "no route source-target"),
        ("tasks", dict(reach=(3, 1)), "fewest and most"),
        ("expert", dict(pairs=3), "must divide heads"),
        ("encoder", dict(patch=3), "power of 2"),
    ],
)
def test_refused_parts(part, change, says):
    config = tiny.config()
    config.model[part].update(change)
    with pytest.raises(ValueError, match=says):
        FAMILY.check(config)


def test_unknown_variant():
    with pytest.raises(ValueError, match="unknown variant 'best'"):
        recipes.phantom("zero_shot+best")
    config = recipes.phantom("zero_shot+control")
    assert config.model.stages == ("understand", "reconstruct")
    assert config.model.tasks.arm == "questions"


def test_guidance_needs_what_training_leaves_out():
    def made(stages, **drop):
        drop = {"words": 0.1, "content": 0.3, "latents": 0.3} | drop
        return unguided(tiny.config(stages=stages, dropout=drop).model)

    pairs, single = ("understand", "generate"), ("understand", "reconstruct")
    assert made(pairs) == made(single) == ()
    assert made(single, words=0.0) == ("guidance",)
    assert made(pairs, latents=0.0) == made(pairs, content=0.0) == ("image_guidance",)
    assert made(single, latents=0.0) == ()
    assert made(("prior", "understand")) == ("guidance", "image_guidance")
    config = tiny.config(stages=single, dropout={"words": 0.0, "content": 0.3, "latents": 0.3})
    config.sample.translate.guidance = 4.0
    with pytest.raises(ValueError, match="sample.translate.guidance=4"):
        FAMILY.check(config)
