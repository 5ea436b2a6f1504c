"""The verbs of the diffusers: shapes, noise by content, modalities that there are not."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.diffusers.family import FAMILY
from tests.diffusers import tiny
from tests.paired.tiny import untimed


def sources(count=3, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.uniform(-1, 1, (count, tiny.SIDE, tiny.SIDE, 1)).astype(np.float32)
    return {"ct": jnp.asarray(np.round((image + 1) * 127.5) / 127.5 - 1)}


@pytest.mark.parametrize("prediction", ["velocity", "epsilon"])
def test_a_translation_depends_on_its_image_alone(prediction):
    model, _ = tiny.model(prediction=prediction)
    params, key = tiny.params(model, size=0.1), jax.random.key(0)
    translate = jax.jit(lambda p, s: model.translate(p, s, key, target="t1w", steps=2))
    given = sources()
    whole = translate(params, given)
    assert whole.shape == (3, tiny.SIDE, tiny.SIDE, 1) and np.abs(whole).max() <= 1
    turned = translate(params, {"ct": given["ct"][::-1]})
    np.testing.assert_allclose(turned[::-1], whole, atol=2e-5)


def test_a_solver_that_chooses_its_steps_draws_several_as_each_alone():
    model, _ = tiny.model()
    params, key = untimed(tiny.gated(tiny.params(size=0.1), 2)), jax.random.key(0)
    given = sources()
    draw = jax.jit(
        lambda p, s: model.translate(p, s, key, target="t1w", solver="dopri5", guidance=2.0)
    )
    found = draw(params, given)
    assert found.shape == (3, tiny.SIDE, tiny.SIDE, 1)
    for i in range(3):
        alone = draw(params, {"ct": given["ct"][i : i + 1]})
        np.testing.assert_allclose(found[i], alone[0], atol=1e-5)
    together = jax.jit(
        lambda p, index: model.generate(
            p, {}, key, modalities=("ct", "t1w"), solver="tsit5", index=index
        )
    )
    both, first = together(params, np.arange(2)), together(params, np.arange(1))
    for name in ("ct", "t1w"):
        np.testing.assert_allclose(both[name][0], first[name][0], atol=1e-5)


def test_guidance_of_one_is_none_and_each_kind_counts():
    model, _ = tiny.model()
    params, key = tiny.params(size=0.3), jax.random.key(0)

    def run(**settings):
        return jax.jit(lambda p, s: model.translate(p, s, key, target="t1w", steps=1, **settings))(
            params, sources()
        )

    plain = run()
    np.testing.assert_array_equal(run(guidance=1.0, partner_guidance=1.0), plain)
    assert np.abs(run(guidance=3.0) - plain).max() > 1e-4
    assert np.abs(run(partner_guidance=3.0) - plain).max() > 1e-4
    model, _ = tiny.model(frozen_trunks=False)
    with pytest.warns(
        UserWarning, match="partner_guidance=3 .*model.frozen_trunks=False.* leave it"
    ):
        run(partner_guidance=3.0)
    model, _ = tiny.model(dropout=0.0)
    with pytest.raises(ValueError, match="guidance=3: .*model.dropout=0"):
        run(guidance=3.0)
    with pytest.raises(ValueError, match="no source: .*model.dropout=0"):
        model.generate(params, {}, key, modalities=("t1w",), index=np.arange(2), steps=1)
    config = tiny.config(dropout=0.0)
    config.sample.translate.guidance = 2.0
    with pytest.raises(ValueError, match="sample.translate.guidance=2"):
        FAMILY.check(config)


def test_reports_from_images_and_images_from_reports():
    model, parts = tiny.model()
    params, key = tiny.params(size=0.1), jax.random.key(0)
    tokens, logs = jax.jit(lambda p, s: model.report(p, s, key, steps=2))(params, sources())
    assert tokens.shape == (3, model.length) and logs.shape == (3,)
    assert len(parts.tokeniser.decode(np.asarray(tokens))) == 3
    rows = jnp.asarray(parts.tokeniser.encode(list(tiny.REPORTS[:2])))
    draw = jax.jit(lambda p, s: model.translate(p, s, key, target="xray", steps=2))
    drawn = draw(params, {"report": rows})
    assert drawn.shape == (2, tiny.SIDE, tiny.SIDE, 1)


def test_several_are_drawn_together_from_nothing():
    model, _ = tiny.model()
    params, key = tiny.params(size=0.1), jax.random.key(0)

    @functools.partial(jax.jit, static_argnums=1)
    def draw(params, modalities):
        index = jnp.arange(2)
        return model.generate(params, {}, key, modalities=modalities, index=index, steps=2)

    found = draw(params, ("xray", "report"))
    assert found["xray"].shape == (2, tiny.SIDE, tiny.SIDE, 1)
    assert found["report"].shape == (2, 2, 2, 4)
    one = draw(params, ("xray",))
    assert np.abs(one["xray"] - found["xray"]).max() > 1e-4  # the report was looked at


def test_what_the_model_has_not_is_named():
    model, _ = tiny.model()
    with pytest.raises(ValueError, match="no modality 'pet': this model has report, xray, ct, t1w"):
        model.translate({}, sources(), jax.random.key(0), target="pet")
    for given in ({}, {"t1w": sources()["ct"]}):
        with pytest.raises(ValueError, match="to draw 't1w', give at least one other modality"):
            model.translate({}, given, jax.random.key(0), target="t1w")


def test_parts_start_alike_whatever_starts_beside_them():
    from msflow_jax.diffusers.networks import start

    model, _ = tiny.model()
    whole = model.init(jax.random.key(3))
    part = start(model, jax.random.key(3), ("diffuser",), ("ct",))
    known = jax.tree_util.tree_leaves_with_path(part)
    for path, leaf in known:
        found = whole
        for key in path:
            found = found[key.key]
        np.testing.assert_array_equal(leaf, found)
    assert not any("guide" in str(path) for path, _ in known)
