"""The stages: what each trains, on whom, and what it leaves alone."""

import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from msflow_jax.diffusers.curriculum import stages
from msflow_jax.diffusers.family import FAMILY
from msflow_jax.diffusers.subjects import check_subjects
from tests.diffusers import tiny

NAMES = [
    "text", "align-xray", "align-ct", "align-t1w", "draw-report", "draw-xray", "draw-ct", "draw-t1w",
    "link-xray-report", "link-ct-report", "link-t1w-ct",
]  # fmt: skip


@pytest.fixture(scope="module")
def made():
    model, parts = tiny.model()
    return stages(tiny.config(), tiny.splits(), parts.tokeniser, model)


def paths(tree):
    return {"/".join(path) for path in flatten_dict(tree)}


def test_the_order(made):
    assert [one.name for one in made] == NAMES


def test_every_leaf_is_trained_by_one_stage(made):
    whole = paths(tiny.model()[0].init(jax.random.key(0)))
    trained = [{path for path in whole if re.fullmatch(one.trains, path)} for one in made]
    assert set().union(*trained) == whole
    guides = {path for path in whole if "/guide" in path}
    for path in whole:
        by = [one.name for one, leaves in zip(made, trained, strict=True) if path in leaves]
        # A diffuser's stage names its guides too, which are not there before the links.
        assert len(by) == (2 if path in guides else 1), (path, by)
    of_t1w = {p.split("/")[1] for p in trained[-1]}
    assert of_t1w == {"t1w"} and {p.split("/")[0] for p in trained[-1]} == {"context", "diffuser"}


def test_each_stage_starts_what_it_trains_and_nothing_else(made):
    tree = {}
    for one in made:
        fresh = jax.eval_shape(one.initial, tree)
        assert paths(fresh) and not paths(fresh) & paths(tree), one.name
        tree = {**flatten_dict(tree), **flatten_dict(fresh)}
        tree = jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), tree)
        from flax.traverse_util import unflatten_dict

        tree = unflatten_dict(tree)
    assert paths(tree) == paths(tiny.model()[0].init(jax.random.key(0)))


# One of every kind; a stage of the same kind differs in the modality alone.
@pytest.mark.parametrize(
    "prediction, name",
    [
        *(("velocity", name) for name in ("text", "align-xray", "draw-report", "link-t1w-ct")),
        ("epsilon", "link-xray-report"),
    ],
)
def test_every_loss_is_finite_and_reaches_what_it_trains(prediction, name):
    model, parts = tiny.model(prediction=prediction)
    params = jax.device_put(tiny.params(model, size=0.02))
    every = stages(tiny.config(), tiny.splits(), parts.tokeniser, model)
    for one in (stage for stage in every if stage.name == name):
        batch = {
            name: jnp.asarray(array[:4], jnp.float32 if array.dtype == np.uint8 else jnp.int32)
            for name, array in one.source.arrays.items()
        }
        batch = {k: v / 127.5 - 1 if v.dtype == jnp.float32 else v for k, v in batch.items()}

        def loss(params, one=one, batch=batch):
            return one.loss(params, batch, jax.random.key(0), train=True)[0]

        value, gradient = jax.jit(jax.value_and_grad(loss))(params)
        assert np.isfinite(value), one.name
        trained = {
            "/".join(path): leaf
            for path, leaf in flatten_dict(gradient).items()
            if re.fullmatch(one.trains, "/".join(path))
        }
        alone = "draw" in one.name
        dead = [
            path for path, leaf in trained.items()
            if not np.abs(leaf).max() > 0 and not (alone and "/guide" in path)
            and not path.endswith("key/bias") and "null" not in path
        ]  # fmt: skip
        assert dead == [], one.name


def test_all_links_at_once():
    chosen = tiny.config(curriculum="joint")
    model, parts = tiny.model()
    last = stages(chosen, tiny.splits(), parts.tokeniser, model)[-1]
    assert last.name == "links" and set(last.source) == {"xray-report", "ct-report", "t1w-ct"}
    assert re.fullmatch(last.trains, "context/report/head/kernel")
    assert not re.fullmatch(last.trains, "diffuser/xray/block_0/qkv/kernel")


def test_all_links_at_once_train_what_links_train():
    """Whole diffusers where links do, or the two curricula would differ in that as well."""
    chosen = tiny.config(curriculum="joint", frozen_trunks=False)
    model, parts = tiny.model()
    last = stages(chosen, tiny.splits(), parts.tokeniser, model)[-1]
    for name in ("xray", "report", "ct", "t1w"):
        assert re.fullmatch(last.trains, f"diffuser/{name}/block_0/qkv/kernel")


def said_of(chosen):
    """The lines of a run before it trains."""
    _, parts = tiny.model()
    model = FAMILY.build(chosen, tiny.splits().info, parts)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stages(chosen, tiny.splits(), parts.tokeniser, model)
    return [str(one.message) for one in caught]


@pytest.mark.parametrize("patch, said", [(2, False), (1, False), (3, True), (8, True)])
def test_a_patch_that_images_are_too_small_for_is_named(patch, said):
    """It became 1, with four times the tokens of 2, and nothing said so; a report has patches of 1."""
    chosen = tiny.config()
    chosen.model.net.patch = patch
    wanted = (
        f"model.net.patch={patch} is not used for xray, ct, t1w: a side of {tiny.SIDE} pixels is below "
        "four patches, and a patch of 1 is used, with as many tokens as pixels: set it to 2 or less"
    )
    assert said_of(chosen) == [wanted] * said


def test_weights_of_partners_that_links_do_not_train_are_named():
    """With whole diffusers every update of a link has partners: drawing beside none is left behind."""
    chosen = tiny.config(frozen_trunks=False)
    assert said_of(chosen) == []
    chosen.sample.generate.partner_guidance = 2.0
    (line,) = said_of(chosen)
    assert line.startswith(
        "sample.generate.partner_guidance=2 weighs partners against drawing without"
    )
    chosen.model.frozen_trunks = True
    assert said_of(chosen) == []


def test_subjects_of_two_sets_are_named():
    everything = tiny.split(12, (("report", "xray", "ct", "t1w"),))
    links = tiny.model()[0].links
    with pytest.raises(
        ValueError, match="12 training subjects are in the sets of both .* set model"
    ):
        check_subjects(everything, links, shared=False)
    with pytest.warns(UserWarning, match="12 training subjects"):
        check_subjects(everything, links, shared=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_subjects(tiny.split(), links, shared=False)


def test_who_has_a_part_of_a_link_is_in_its_set():
    """What is new is aligned and drawn by pairs, also of those who lack what else is new."""
    everything = ("report", "ct", "t1w")
    links = (("ct", "report"), ("t1w", "xray", "ct"))
    with pytest.raises(ValueError, match="12 training subjects .* ct-report and t1w-xray-ct"):
        check_subjects(tiny.split(12, (everything,)), links, shared=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_subjects(tiny.split(12, (("report", "ct"), ("ct", "t1w"))), links, shared=False)


@pytest.mark.parametrize(
    "model, message",
    [
        ({"links": ("xray-report", "ct-report")}, "nothing links t1w"),
        ({"links": ("xray-pet",)}, "'pet' is none of them"),
        (
            {"links": ("xray-report", "t1w-ct")},
            "'t1w-ct' attaches a modality to one that an earlier",
        ),
        ({"links": ("xray-report", "xray-report")}, "'xray-report' attaches a modality"),
    ],
)
def test_links_that_do_not_fit(model, message):
    chosen = tiny.config(**model)
    with pytest.raises(ValueError, match=message):
        FAMILY.check(chosen)
