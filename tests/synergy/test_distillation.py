"""Distilling a drawing: what a student starts as, what it learns from, and what stays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.storage.facts import TEACHER
from msflow_jax.synergy import conditions
from msflow_jax.synergy.augmentation import Augmentation
from msflow_jax.synergy.distillation import jumped, taught
from msflow_jax.synergy.family import FAMILY
from msflow_jax.synergy.stages import stages
from msflow_jax.training.distillation import start_from
from msflow_jax.training.flow_maps import target
from msflow_jax.training.stage import split, update
from tests.synergy import tiny

PAIRED, ALONE = ("understand", "generate"), ("understand", "reconstruct")


def settings(**changes):
    return {**tiny.config().model.distillation.to_dict(), "teacher": "w", **changes}


def pair(**changes):
    """A student, its teacher's model, and the parameters of both."""
    student = tiny.model(distillation=settings(), **changes)
    params = jax.device_put(tiny.params())
    own = start_from(params, student.init(jax.random.key(1)))
    return student, taught(student), own, params


def batch():
    return {name: jnp.asarray(tiny.images(4, i)) for i, name in enumerate(tiny.NAMES)}


@pytest.mark.parametrize(
    "names, prediction, shift",
    [(PAIRED, "velocity", 1.0), (PAIRED, "data", 3.0), (ALONE, "data", 1.0)],
)
def test_jumps_of_a_fresh_student_are_steps_of_its_teacher(names, prediction, shift):
    student, teacher, own, params = pair(stages=names, prediction=prediction)
    sources = {tiny.NAMES[0]: jnp.asarray(tiny.images(2))}
    given = dict(target=tiny.NAMES[1], steps=2, shift=shift)

    def drawn(model, params, solver):
        def translate(params):
            return model.translate(params, sources, jax.random.key(0), solver=solver, **given)

        return jax.jit(translate)(params)

    wanted = drawn(teacher, params, "euler")
    for solver in ("jump", "euler"):
        np.testing.assert_allclose(drawn(student, own, solver), wanted, atol=1e-5)


def test_what_jumps_and_what_does_not():
    student, teacher, own, params = pair(stages=PAIRED)
    sources = {tiny.NAMES[0]: jnp.asarray(tiny.images(2))}
    given = dict(target=tiny.NAMES[1], solver="jump")
    with pytest.raises(ValueError, match="only a distilled model jumps"):
        teacher.translate(params, sources, jax.random.key(0), **given)
    with pytest.raises(ValueError, match="guidance=2: what was distilled"):
        student.translate(own, sources, jax.random.key(0), guidance=2.0, **given)


@pytest.mark.parametrize("prediction", ["velocity", "data"])
def test_the_derivative_is_that_of_a_central_difference(prediction):
    student, _, own, _ = pair(stages=PAIRED, prediction=prediction)
    drawing = own["drawing"]
    moved = jax.tree.map(lambda x: x + 0.3, drawing["span_zero"])
    own = {**own, "drawing": {**drawing, "span_zero": moved}}
    a, b, h = jnp.full(4, 0.1), jnp.full(4, 0.6), 5e-3

    @jax.jit
    def measured(own):
        one = _jumped(student, own, None)
        silent = type(one)(**{**vars(one), "teacher": lambda u, z: jax.tree.map(jnp.zeros_like, z)})
        ends = [one.student(a, end, one.noise)["z"] for end in (b - h, b + h)]
        return target(silent, a, b, one.noise, "lagrangian")["z"], *ends

    wanted, before, after = measured(own)
    slope = (after - before) / (2 * h)
    np.testing.assert_allclose(wanted, -0.5 * slope, atol=3e-3)
    assert np.abs(slope).max() > 0.01


def _show(student):
    def show(params, batch, keys, *, train):
        return conditions.paired(
            student, Augmentation(), student.trained, True, params, batch, keys, train=train
        )

    return show


def _jumped(student, own, teacher, weights=(1.0, 1.0)):
    guidance = {"guidance": weights[0], "image_guidance": weights[1]}
    return jumped(student, _show(student), guidance, own, teacher, batch(), jax.random.key(0))


def test_a_teacher_is_followed_with_its_guidance():
    student, teacher, own, params = pair(stages=PAIRED)

    @jax.jit
    def fields(own, params, u):
        plain, guided = (_jumped(student, own, params, w) for w in ((1.0, 1.0), (2.0, 1.5)))
        z = plain.noise
        keys = jax.random.split(jax.random.key(0), 5)[1:]
        shown = _show(student)(params, batch(), keys, train=True)
        ones, zeros = jnp.ones(4), jnp.zeros(4)

        def field(words, image):
            return teacher.velocity(
                params, z["z"], u, *shown.read(teacher, params, words, image, image)
            )

        # The field that a translation has: 1.5 (2 both - without words) - 0.5 without the image.
        wanted = 1.5 * (2 * field(ones, ones) - field(zeros, ones)) - 0.5 * field(ones, zeros)
        found = plain.teacher(u, z), plain.student(u, u, z), guided.teacher(u, z)
        return wanted, *(one["z"] for one in found)

    wanted, followed, jumped, guided = fields(own, params, jnp.full(4, 0.3))
    np.testing.assert_array_equal(followed, jumped)
    np.testing.assert_allclose(guided, wanted, atol=1e-4)
    assert np.abs(wanted - followed).max() > 1e-3


def test_what_has_guidance_in_it_takes_no_more():
    changes = dict(stages=PAIRED, distillation=settings(guidance=2.0))
    student = tiny.model(**changes)
    own = start_from(jax.device_put(tiny.params()), student.init(jax.random.key(1)))
    sources = {tiny.NAMES[0]: jnp.asarray(tiny.images(2))}
    with pytest.raises(ValueError, match="leave it at 1"):
        student.translate(own, sources, jax.random.key(0), target=tiny.NAMES[1], guidance=2.0)
    config = tiny.config(**changes)
    config.sample.translate.guidance = 2.0
    with pytest.raises(ValueError, match=r"a model with guidance in it needs sample\.translate"):
        FAMILY.check(config)


def test_jumps_are_compared_with_the_guided_teacher():
    """Whose guidance can be weighed although the student's, which has it in its jumps, cannot."""
    config = tiny.config(stages=PAIRED, distillation=settings(guidance=2.0))
    student = tiny.model(stages=PAIRED, distillation=settings(guidance=2.0))
    params = jax.device_put(tiny.params())
    few = next(one for one in FAMILY.sections(config, "jump") if one.name == "few_steps")
    sources = {tiny.NAMES[0]: jnp.asarray(tiny.images(2))}
    given = dict(target=tiny.NAMES[1], steps=2, solver="euler")

    def drawn(**guidance):
        model = few.taught(student)
        return model.translate(params, sources, jax.random.key(0), **given, **guidance)

    assert few.guidance["guidance"] == 2
    assert np.abs(drawn(**few.guidance) - drawn()).max() > 1e-5


def test_stages_of_a_distilled_run_are_evaluated_as_far_as_they_go():
    config = tiny.config(stages=PAIRED, distillation=settings())
    names = [one.name for one in FAMILY.sections(config, "taken")]
    assert names == ["understanding"]
    assert "few_steps" in [one.name for one in FAMILY.sections(config, "jump")]


@pytest.mark.parametrize("names, weight", [(PAIRED, 1.0), (PAIRED, 2.0), (ALONE, 1.0)])
def test_only_the_drawing_learns_and_the_rest_is_the_teachers(names, weight):
    changes = dict(stages=names, distillation=settings(guidance=weight), prediction="data")
    student = tiny.model(**changes)
    params = jax.device_put(tiny.params())
    first, last = stages(tiny.config(**changes), tiny.splits(), tiny.parts(), student)
    tree = {TEACHER: params}
    kept = first.initial(tree)
    assert set(kept) == {"content", "look", "understanding"} and first.config.learning_rate == 0
    jax.tree.map(np.testing.assert_array_equal, kept, {k: params[k] for k in kept})
    tree = update(tree, kept)
    own = last.initial(tree)
    assert set(own) == {"drawing"} and "span_zero" in own["drawing"]
    whole = update(tree, own)

    def loss(params):
        return last.loss(params, batch(), jax.random.key(0), train=True)[0]

    value, gradient = jax.jit(jax.value_and_grad(loss))(whole)
    assert np.isfinite(value)
    learned = split(gradient, last.trains)[0]["drawing"]
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(learned["span_zero"]))
    assert float(last.validate(whole)["val_loss"]) >= 0


def test_settings_that_cannot_be():
    def check(**changes):
        config = tiny.config(stages=PAIRED, dropout=dict(words=0.0, latents=0.0, content=0.0))
        with config.unlocked():
            config.model.distillation.update({"teacher": "w", **changes})
        FAMILY.check(config)

    check()
    for changes, message in (
        ({"teacher": "itself"}, "needs a trained one"),
        ({"guidance": 2.0}, "never drew without what it weighs"),
        ({"guidance": -1.0}, "must be above 0"),
        ({"teacher": "", "guidance": 2.0}, "guidance is learned from a teacher"),
        ({"objective": "eulerian"}, "eulerian"),
    ):
        with pytest.raises(ValueError, match=message):
            check(**changes)
    config = tiny.config(stages=PAIRED)
    config.sample.translate.solver = "jump"
    with pytest.raises(ValueError, match="unknown sample.translate.solver"):
        FAMILY.check(config)
