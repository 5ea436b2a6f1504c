"""Distilling translations of MedM2G: what a student starts as, what it learns from, and what stays."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.diffusers.curriculum import stages
from msflow_jax.diffusers.distillation import jumped, taught
from msflow_jax.diffusers.family import FAMILY
from msflow_jax.diffusers.parts import prepare
from msflow_jax.inference.evaluation import Evaluation
from msflow_jax.inference.flow import Flow
from msflow_jax.paired.distillation import summed
from msflow_jax.storage import weights
from msflow_jax.storage.facts import TEACHER
from msflow_jax.training.distillation import start_from
from msflow_jax.training.stage import update
from tests.diffusers import tiny

SETTINGS = {**tiny.config().model.distillation.to_dict(), "teacher": "w"}


@pytest.fixture(scope="module")
def made():
    """A student and its parts, its teacher's model, and the parameters of both."""
    _, parts = tiny.model()
    config = tiny.config(distillation=SETTINGS)
    student = FAMILY.build(config, tiny.splits().info, parts)
    params = jax.device_put(tiny.params(size=0.05))
    return (
        config, student, parts, taught(student), params,
        start_from(params, student.init(jax.random.key(1))),
    )  # fmt: skip


def images(shape, count=2):
    return jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (count, *shape)), jnp.float32)


def test_jumps_of_a_fresh_student_are_steps_of_its_teacher(made):
    _, student, _, teacher, params, own = made
    sources = {"ct": images(student.modalities["ct"].codec.shape)}
    given = dict(target="t1w", steps=2)

    @jax.jit
    def both(params, own):
        step = teacher.translate(params, sources, jax.random.key(0), **given)
        return step, student.translate(own, sources, jax.random.key(0), solver="jump", **given)

    wanted, found = both(params, own)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    with pytest.raises(ValueError, match="only a distilled model jumps"):
        teacher.translate(params, sources, jax.random.key(0), solver="jump", **given)
    with pytest.raises(ValueError, match="partner_guidance=2: what was distilled"):
        student.translate(own, sources, jax.random.key(0), partner_guidance=2.0, **given)
    with pytest.raises(ValueError, match="one modality from others"):
        student.generate(own, sources, jax.random.key(0), modalities=("t1w", "xray"))


def test_stages_take_what_they_do_not_train_from_the_teacher(made):
    config, student, parts, _, params, _ = made
    every = stages(config, tiny.splits(), parts.tokeniser, student)
    assert [one.name for one in every] == [
        "taken",
        "jump-report",
        "jump-xray",
        "jump-ct",
        "jump-t1w",
    ]
    tree = {TEACHER: params}
    for one in every[:-1]:
        tree = update(tree, one.initial(tree))
    assert set(tree) == {TEACHER, *params} and set(tree["diffuser"]) == {"report", "xray", "ct"}
    last = every[-1]
    own = last.initial(tree)
    assert set(own["diffuser"]) == {"t1w"} and "span_zero" in own["diffuser"]["t1w"]
    whole = update(tree, own)
    batch = {
        name: jnp.asarray(last.source.arrays[name][:4], jnp.float32) / 127.5 - 1
        for name in ("t1w", "ct")
    }

    def loss(params):
        return last.loss(params, batch, jax.random.key(0), train=True)[0]

    value, gradient = jax.jit(jax.value_and_grad(loss))(whole)
    assert np.isfinite(value)
    span = jax.tree.leaves(gradient["diffuser"]["t1w"]["span_zero"])
    assert all(np.abs(leaf).max() > 0 for leaf in span)
    assert float(last.validate(whole)["val_loss"]) >= 0


def test_a_modality_of_several_links_learns_from_each(made):
    config, student, parts, *_ = made
    every = {one.name: one for one in stages(config, tiny.splits(), parts.tokeniser, student)}
    assert set(every["jump-ct"].source) == {"ct-report", "t1w-ct"}


def test_a_sum_has_parts_also_where_there_is_one():
    """As links that are trained jointly, of which a model may have one."""
    one = summed({"a": lambda params, batch, key, *, train: (params * batch, {"loss": batch})})
    total, metrics = one(2.0, {"a": 3.0}, jax.random.key(0), train=True)
    assert total == 6 and metrics == {"loss_a": 3.0}


def test_a_teacher_is_followed_with_its_guidance(made):
    _, student, _, _, params, own = made
    batch = {name: images(student.modalities[name].codec.shape, 4) for name in ("t1w", "ct")}

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def fields(guidance, partner_guidance, own, params, batch, u):
        weights = dict(guidance=guidance, partner_guidance=partner_guidance)
        one = jumped(student, "t1w", ("t1w", "ct"), weights, own, params, batch, jax.random.key(0))
        return one.teacher(u, one.noise)["t1w"], one.student(u, u, one.noise)["t1w"]

    def field(guidance, partner_guidance):
        return fields(guidance, partner_guidance, own, params, batch, jnp.full(4, 0.3))

    plain, own_field = field(1.0, 1.0)
    np.testing.assert_array_equal(plain, own_field)
    by_condition, by_partner = (field(*w)[0] - plain for w in ((2.0, 1.0), (1.0, 2.0)))
    assert np.abs(by_condition).max() > 1e-4 and np.abs(by_partner - by_condition).max() > 1e-4
    # Each adds its own difference, as often as its weight says.
    np.testing.assert_allclose(field(3.0, 2.0)[0], plain + 2 * by_condition + by_partner, atol=1e-4)


def test_stages_of_a_distilled_run_are_evaluated_as_far_as_they_go(made):
    config = made[0]
    for stage in ("taken", "jump-report"):
        assert [one.name for one in FAMILY.sections(config, stage)] == ["retrieval"]
    names = [one.name for one in FAMILY.sections(config, "jump-t1w")]
    assert "few_steps" in names and "generation" not in names


def test_every_section_of_a_distilled_model_can_be_measured(tmp_path):
    """Also those that draw in other ways than its teacher's: they come at the end of a long training.

    With guidance in it, which its teacher can weigh and it cannot.
    """
    config, data = tiny.config(distillation={**SETTINGS, "guidance": 2.0}), tiny.splits(16)
    parts = prepare(config.model, data)
    student = FAMILY.build(config, data.info, parts)
    trained = tiny.params(taught(student), size=0.05)
    own = start_from(jax.device_put(trained), student.init(jax.random.key(1)))
    config.sample.translate.update(solver="jump", draws=2, steps=1)
    config.sample.evaluate.update(examples=4, routes=("t1w-ct",))
    weights.save(tmp_path / TEACHER, "teacher.json", {}, trained)
    flow = Flow(tmp_path, config, data.info, FAMILY, parts, student, own, 0)
    found = {}
    for section in FAMILY.sections(config):
        if section.name in ("translation", "few_steps", "partners"):
            found[section.name], _ = section(Evaluation(flow, data, "test"))
    assert set(found) == {"translation", "few_steps"}
    assert "teacher, 25 steps" in found["few_steps"]["rows"]
    assert FAMILY.sections(tiny.config())[2].name == "partners"


def test_noise_as_prediction_is_refused():
    config = tiny.config(distillation=SETTINGS, prediction="epsilon")
    with pytest.raises(ValueError, match="cannot be distilled"):
        FAMILY.check(config)
