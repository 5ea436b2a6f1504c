"""What partners are good for, and links that several new modalities join at once."""

import dataclasses
import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.data import Splits
from msflow_jax.diffusers import partners
from msflow_jax.diffusers.curriculum import stages
from msflow_jax.diffusers.model import Diffusers
from msflow_jax.diffusers.objectives import link_objective
from msflow_jax.diffusers.partners import SHUFFLED, WITH, WITHOUT, others, three_ways
from msflow_jax.nets.places import PLACE
from msflow_jax.reports.results import Results
from msflow_jax.reports.translation import partners_section
from tests.diffusers import tiny
from tests.paired.tiny import splits

SETTINGS = dict(steps=2, solver="euler", guidance=1.0, partner_guidance=1.0)
SETS = (("report", "ct"), ("xray", "ct", "t1w"))
LINKS = ("ct-report", "xray+t1w-ct")


@pytest.fixture(scope="module")
def measure():
    model, _ = tiny.model()
    return jax.jit(lambda p, x: three_ways(model, p, x, "ct", "t1w", 0, SETTINGS))


def images(count=3):
    rng = np.random.default_rng(0)
    shape = (count, tiny.SIDE, tiny.SIDE, 1)
    return {name: rng.uniform(-1, 1, shape) for name in ("source", "target", "other")}


def test_shut_gates_make_all_partners_alike(measure):
    found = measure(tiny.gated(tiny.params(size=0.1), 0), images())
    np.testing.assert_array_equal(found["moved"], 0)
    assert (found["size"] > 0).all()
    for name in (SHUFFLED, WITHOUT):
        np.testing.assert_allclose(found[name], found[WITH], atol=1e-6)


def test_open_gates_tell_partners_apart(measure):
    found = measure(tiny.gated(tiny.params(size=0.3), 2), images())
    assert (found["moved"] > 0).all()
    for name in (SHUFFLED, WITHOUT):
        assert np.abs(found[name] - found[WITH]).max() > 1e-4
    same = images()
    again = measure(tiny.gated(tiny.params(size=0.3), 2), {**same, "other": same["source"]})
    np.testing.assert_array_equal(again[SHUFFLED], again[WITH])


@pytest.mark.parametrize("frozen", [True, False])
def test_blank_images_and_drawing_that_was_not_trained_are_said(monkeypatch, frozen):
    """The gain over no partner is of another model where links train whole diffusers beside partners."""

    def drawn(model, params, given, source, target, seed, settings):
        black = given["target"].max(axis=(1, 2, 3), keepdims=True) == -1
        far = jnp.where(black, -1.0, jnp.clip(given["target"] + 0.2, -1, 1))
        moved = jnp.ones(len(far))
        return {WITH: given["target"], SHUFFLED: far, WITHOUT: far, "moved": moved, "size": moved}

    monkeypatch.setattr(partners, "three_ways", drawn)
    split = splits(16).test
    arrays = {k: np.array(v) for k, v in split.arrays.items()}
    for name in ("ct", "t1w"):
        arrays[name][:2] = 0
    chosen = dataclasses.replace(split, arrays=arrays)
    flow = SimpleNamespace(
        model=tiny.model(frozen_trunks=frozen)[0], params={}, settings=lambda verb: {}
    )
    run = SimpleNamespace(flow=flow, chosen=chosen, sample=SimpleNamespace(batch=6, seed=0))
    block, _ = partners.Partners((("ct", "t1w"),), 6)(run)
    (route,) = block["routes"]
    assert route["blank"] == 2 and route["examples"] == 6 and block["alone"] == frozen
    over = route["gain"][f"over {WITHOUT}"]["value"]
    assert over == pytest.approx(100 - route["psnr"][WITHOUT]["value"], abs=1e-6)
    assert route["psnr"][WITHOUT]["value"] < 23  # of black images it is 100
    html = str(partners_section(Results("w", evaluation={"partners": block})).html)
    page = " ".join(html.split())
    assert "ct to t1w: of 6 images 2 are blank in source and target" in page
    assert ("was not trained with the links" in page) != frozen
    before = {k: v for k, v in block.items() if k != "alone"} | {
        "routes": [{k: v for k, v in route.items() if k not in ("blank", "examples")}]
    }
    html = str(partners_section(Results("w", evaluation={"partners": before})).html)
    assert "not trained" not in html and "blank" not in html


def test_another_subject_for_everyone():
    split = tiny.split(12)
    groups = tuple("aabbbcdddddd")
    away = others(dataclasses.replace(split, groups=groups))
    assert all(groups[i] != groups[j] for i, j in enumerate(away))
    assert others(dataclasses.replace(split, groups=("a",) * 12)) is None
    assert (others(dataclasses.replace(split, groups=None)) != np.arange(12)).all()


def test_another_subject_is_shown_at_the_same_height():
    """The first slice stood for all of a subject: its level was wrong as well."""
    groups = np.repeat(np.arange(3), 4)
    heights = np.array([0, 5, 10, 15, 1, 6, 11, 16, 2, 4, 9, 14])
    truth = {"slice": heights.astype(str)}
    away = others(dataclasses.replace(tiny.split(12), groups=tuple(groups.tolist()), truth=truth))
    assert (groups[away] == (groups + 1) % 3).all()
    assert len(set(away.tolist())) == 12 and np.abs(heights[away] - heights).max() <= 2


def test_several_new_modalities_in_one_link():
    chosen = tiny.config(links=LINKS)
    model, parts = tiny.model(links=LINKS)
    assert model.links == (("ct", "report"), ("xray", "t1w", "ct"))
    assert model.aligned == (("ct", "report"), ("xray", "ct"), ("t1w", "ct"))
    assert model.linked("xray", "t1w") and not model.linked("xray", "report")
    # Drawn beside each other, but their encoders have only seen CT.
    assert model.near("xray", "t1w") == model.near("t1w", "report") == "emergent"
    assert model.near("ct", "t1w") == model.near("t1w", "ct") == model.near("ct", "ct") == "trained"
    data = tiny.splits()
    given = Splits(tiny.split(12, SETS), tiny.split(8, SETS, seed=1), data.test, data.info)
    found = stages(chosen, given, parts.tokeniser, model)
    assert [one.name for one in found][-2:] == ["link-ct-report", "link-xray-t1w-ct"]
    assert set(found[-1].source.arrays) == {"xray", "t1w", "ct"}


@pytest.mark.parametrize("frozen, shared", [(True, True), (False, True), (True, False)])
def test_what_a_link_trains_of_its_new_diffusers(frozen, shared):
    model, parts = tiny.model(links=LINKS, shared_guides=shared)
    data = tiny.splits()
    given = Splits(tiny.split(12, SETS), tiny.split(8, SETS, seed=1), data.test, data.info)
    chosen = tiny.config(links=LINKS, frozen_trunks=frozen, shared_guides=shared)
    last = stages(chosen, given, parts.tokeniser, model)[-1]
    tag = "" if shared else "_1"

    def trained(path):
        return re.fullmatch(last.trains, path) is not None

    assert trained("diffuser/xray/block_0/qkv/kernel") == (not frozen)
    assert trained(f"diffuser/t1w/block_0/guide{tag}/attend/out_zero/kernel")
    assert trained(f"context{tag}/t1w/head/bias")
    # Of what was there before a guide and a context encoder of the link's own, and nothing else.
    assert trained(f"context{tag}/ct/head/bias") == (not shared)
    assert trained(f"diffuser/ct/block_0/guide{tag}/attend/out_zero/kernel") == (not shared)
    assert not trained("diffuser/ct/block_0/guide_0/attend/out_zero/kernel")
    assert not trained("context_0/ct/head/bias")
    fresh = jax.eval_shape(last.initial, jax.device_put(tiny.params(model)))
    assert ("ct" in fresh["diffuser"]) == (not shared)


def test_by_which_guide_one_looks_at_another():
    model, _ = tiny.model(links=LINKS, shared_guides=False)
    assert model.guide_towards("ct", "report") == model.guide_towards("report", "ct") == "_0"
    assert model.guide_towards("ct", "xray") == model.guide_towards("t1w", "xray") == "_1"
    # Nothing joins these two: each looks by the link that leads to the other.
    assert model.guide_towards("report", "t1w") == "_0"
    assert model.guide_towards("t1w", "report") == "_1"
    latents = {name: jnp.zeros((1, *one.inner)) for name, one in model.modalities.items()}
    heard = []

    def beside(params):
        told = model.tell(params, latents, jnp.ones(1), ["ct"])
        heard.extend(told)
        return model.beside(told, "ct")

    shapes = {name: x.shape for name, x in jax.eval_shape(beside, tiny.params(model)).items()}
    assert set(heard) == {("report", "_0"), ("xray", "_1"), ("t1w", "_1")}
    assert shapes == {"_0": (1, 4, 8 + PLACE), "_1": (1, 8, 8 + PLACE)}


def test_every_example_has_a_partner_that_is_another_modality():
    model, _ = tiny.model(links=LINKS)
    params, names = tiny.gated(tiny.params(model, size=0.1), 2), model.links[1]
    batch = {name: jnp.asarray(images(4)["source"], jnp.float32) for name in names}

    @jax.jit
    def gradient(params):
        return jax.grad(
            lambda p: link_objective(model, names, 0.1, 0.1, p, batch, jax.random.key(0))[0]
        )(params)

    found = gradient(params)
    for name in names:
        for part in (found["context"][name], found["diffuser"][name]["block_0"]["guide"]):
            assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(part))
            assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(part)) > 0, name


def test_tokens_of_one_link_are_equally_many():
    model, _ = tiny.model()
    ct = model.modalities["ct"]
    deep = dataclasses.replace(ct, inner=(4, 4, 4, 1))
    modalities = {**model.modalities, "ct": deep}
    with pytest.raises(ValueError, match=r"tell one another \[4, 8\] tokens"):
        Diffusers(modalities, (("xray", "report"), ("t1w", "ct", "report")))
