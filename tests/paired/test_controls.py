"""What drawings are compared with and judged by, of no family: networks, stages, what cannot be."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict

from msflow_jax.paired.anatomy import anatomy
from msflow_jax.paired.control_stages import control_stages, segment_objective
from msflow_jax.paired.controls import Controls, make_controls
from msflow_jax.paired.pairs import pair_source
from msflow_jax.paired.settings import (
    TABLE,
    check_settings,
    control_lengths,
    control_settings,
    evaluate_settings,
    latent_settings,
    measured_routes,
)
from msflow_jax.settings import leaves
from tests.paired.tiny import SIDE, TISSUES, splits, with_maps

SHAPES = dict.fromkeys(("xray", "ct", "t1w"), (SIDE, SIDE, 1))


def config(routes=("ct-t1w",), segmented=("ct",), measured=()):
    """A configuration of a family that has these controls and nothing else."""
    model = dict(
        modalities=("report", *SHAPES), lengths=control_lengths(), latent=latent_settings(),
        **control_settings(),
    )  # fmt: skip
    sample = dict(evaluate=evaluate_settings())
    found = ConfigDict(dict(model=model, sample=sample, data=dict(dims=2)))
    found.model.regression.update(routes=routes, width=8)
    found.model.segmenter.update(modalities=segmented, width=8)
    found.sample.evaluate.routes = measured
    return found


class Maker:
    """Names what it is asked for."""

    def __init__(self, chosen, data):
        self.config, self.splits = chosen, data

    def pair(self, *names):
        return tuple(
            pair_source(one, names, None, "some") for one in (self.splits.train, self.splits.val)
        )

    def stage(self, name, kind, objective, pair, trains, parts):
        return SimpleNamespace(
            name=name, kind=kind, loss=objective, source=pair[0], trains=trains, parts=parts
        )


def test_every_setting_has_a_meaning():
    own = {"model.modalities", "model.latent.autoencoder", "data.dims"}  # of the families
    assert {key for key, _ in leaves(config().to_dict())} - own == set(TABLE)


@pytest.fixture(scope="module")
def made():
    """Data, controls, their stages."""
    data = with_maps(splits())
    controls = make_controls(config().model, data.info, SHAPES)
    # Nobody of the training subjects lacks anything here.
    everyone = dataclasses.replace(data, train=data.test, val=data.test)
    return everyone, controls, list(control_stages(Maker(config(), everyone), controls))


def test_each_is_a_stage_and_a_branch_of_the_tree(made):
    _, controls, stages = made
    assert controls.names == {"regression": ("ct-t1w",), "segmenter": ("ct",)}
    assert [(one.name, one.kind, one.trains, one.parts) for one in stages] == [
        ("regress-ct-t1w", "regress", "regression/ct-t1w/.*", [(("regression",), ("ct-t1w",))]),
        ("segment-ct", "segment", "segmenter/ct/.*", [(("segmenter",), ("ct",))]),
    ]
    assert [set(one.source.arrays) for one in stages] == [{"ct", "t1w"}, {"ct", "map"}]


def test_losses_reach_every_leaf(made):
    data, controls, stages = made
    images = {name: jnp.asarray(data.test.arrays[name][:2] / 127.5 - 1) for name in ("ct", "t1w")}
    batch = {**images, "map": jnp.asarray(data.test.arrays["map"][:2], jnp.int32)}
    rng = np.random.default_rng(0)
    for one in stages:
        (((part,), (name,)),) = one.parts
        fresh = controls.start(part, jax.random.key(0), (SIDE, SIDE, 1))
        moved = jax.tree.map(
            lambda a: a + 0.05 * rng.normal(size=a.shape).astype(np.float32), fresh
        )

        def loss(params, one=one):
            return one.loss(params, batch, jax.random.key(0), train=True)[0]

        value, gradient = jax.jit(jax.value_and_grad(loss))({part: {name: moved}})
        assert np.isfinite(value)
        found = flatten_dict(gradient[part][name], sep="/")
        assert all(np.isfinite(leaf).all() for leaf in found.values())
        dead = [path for path, leaf in found.items() if not np.abs(leaf).max() > 0]
        # With one channel in a group, its norm takes away what is added to all pixels.
        assert all(path.endswith("conv1/bias") or "/time/" in path for path in dead), dead


def test_modalities_of_several_numbers_of_channels():
    with pytest.raises(ValueError, match=r"modalities of \[1, 3\] channels: give them one number"):
        make_controls(config().model, splits().info, {**SHAPES, "t1w": (SIDE, SIDE, 3)})


def test_without_maps_segmenters_are_left_out_in_one_line():
    data = splits()
    controls = make_controls(config((), ("ct",)).model, data.info, SHAPES)
    assert controls.names == {"regression": (), "segmenter": ()}
    with pytest.warns(UserWarning, match="model.segmenter.modalities: the data have no maps of"):
        assert list(control_stages(Maker(config((), ("ct",)), data), controls)) == []


@pytest.mark.parametrize(
    "change, message",
    [
        ({"segmented": ("xray",)}, "segmenter.modalities: 'xray' is none of .*: ct"),
        ({"segmented": ("report",)}, "segmenter.modalities: 'report' is none"),
        ({"routes": ("ct-ct",)}, "'ct-ct' is no route source-target between two of report, xray"),
        ({"measured": ("ct-pet",)}, "'ct-pet' is no route source-target between"),
        ({"routes": ("xray-report",)}, "'xray-report': routes of .* are between images"),
        ({"measured": ("report-ct",)}, "'report-ct': routes of .* are between images"),
    ],
)
def test_controls_that_cannot_be_trained(change, message):
    with pytest.raises(ValueError, match=message):
        check_settings(config(**change))


def test_what_is_measured():
    check_settings(config())
    assert measured_routes(config()) == (("ct", "t1w"), ("t1w", "ct"))
    assert measured_routes(config(measured=("xray-ct",))) == (("xray", "ct"),)


def test_a_segmenter_is_told_apart_from_a_worse_one():
    """By its classes alone: the network is left out."""
    data = with_maps(splits())
    maps = jnp.asarray(data.test.arrays["map"], jnp.int32)

    def loss(logits):
        controls = SimpleNamespace(segment=lambda *_: logits)
        value, metrics = segment_objective(controls, "ct", {}, {"ct": None, "map": maps}, None)
        return float(value), float(metrics["dice"])

    right = 20.0 * jax.nn.one_hot(maps, 3)
    without = right.at[..., 2].set(-20.0)  # lesions are missed
    (best, dice), (worse, less), (flat, _) = map(loss, (right, without, 0 * right))
    assert best < 0.01 and dice > 0.99 and less < 0.75 and worse > flat > best


def test_figures_of_a_translation_and_their_ceiling():
    """A segmenter that knows all: thresholds, as the maps were made."""
    data = with_maps(splits())
    model = SimpleNamespace(controls=Controls(tissues=TISSUES))
    run = SimpleNamespace(
        flow=SimpleNamespace(params={}, model=model), sample=SimpleNamespace(seed=0)
    )

    def segment(params, images):
        grey = np.rint(255 * images[..., 0])
        return (grey > 80).astype(np.uint8) + (grey > 200)

    truth = data.test.arrays["ct"] / 255.0
    rows = anatomy(run, segment, data.test, {"one draw": 0.5 * truth, "true target": truth})["rows"]
    ceiling = rows["true target"]
    assert ceiling["dice"]["mean"]["value"] == ceiling["lesions"]["recall"]["value"] == 1
    assert set(ceiling["dice"]) == {"mean", "grey matter", "lesion"}
    dark = rows["one draw"]
    assert dark["dice"]["lesion"]["value"] == 0 and dark["lesions"]["found"] == 0
    assert dark["lesions"]["lost"] == ceiling["lesions"]["found"] > 0
