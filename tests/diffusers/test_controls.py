"""Controls of a model with reports: sizes, stages, and what cannot be."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.diffusers.curriculum import stages
from msflow_jax.diffusers.decoder_stages import decode_objective
from msflow_jax.diffusers.family import FAMILY
from msflow_jax.diffusers.networks import start
from msflow_jax.diffusers.parts import prepare
from tests.diffusers import tiny
from tests.diffusers.test_configurations import share_of_decoder
from tests.paired.tiny import with_maps

pytest.importorskip("tokenizers")


@cache
def made():
    """Configuration, data, parts and model with every control."""
    chosen = tiny.config()
    with chosen.unlocked():
        chosen.model.segmenter.update(modalities=("ct",), width=8)
        chosen.model.decoder.sources = ("xray", "ct")
    data = with_maps(tiny.splits())
    parts = prepare(chosen.model, data)
    return chosen, data, parts, FAMILY.build(chosen, data.info, parts)


def test_each_has_a_stage_of_its_own_at_the_end():
    chosen, data, parts, model = made()
    found = stages(chosen, data, parts.tokeniser, model)[-3:]
    assert [one.name for one in found] == ["segment-ct", "decode-xray", "decode-ct"]
    assert [one.trains for one in found] == ["segmenter/ct/.*", "decoder/xray/.*", "decoder/ct/.*"]
    assert [one.config.steps for one in found] == [1, 1, 1]
    for one in found:
        fresh = jax.eval_shape(one.initial, {})
        part, name = one.trains.split("/")[:2]
        assert list(fresh) == [part] and list(fresh[part]) == [name]
    source = found[0].source
    assert set(source.arrays) == {"ct", "map"}
    assert len(source.arrays["ct"]) == data.train.present["ct"].sum()  # also those without reports


def test_the_decoder_is_as_large_as_what_it_is_compared_with():
    """The same of the configurations: ``test_configurations.py``."""
    _, _, _, model = made()
    assert 0.8 < share_of_decoder(model, "xray") < 1.2


@pytest.fixture(scope="module")
def decoder():
    """Parameters of one decoder, with no layer at zero."""
    _, _, _, model = made()
    tree = start(model, jax.random.key(0), ("decoder",), ("ct",))
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda a: np.asarray(a) + 0.02 * rng.normal(size=a.shape).astype(np.float32), tree
    )


def test_the_loss_of_the_decoder_reaches_all_of_it(decoder):
    _, data, parts, model = made()
    tokens = parts.tokeniser.encode(list(data.test.truth["report"][:2]))
    images = jnp.asarray(data.test.arrays["ct"][:2] / 127.5 - 1, jnp.float32)
    batch = {"ct": images, "report": jnp.asarray(tokens)}

    def loss(params):
        return decode_objective(model, "ct", 0.0, params, batch, jax.random.key(0), train=False)[0]

    value, gradient = jax.jit(jax.value_and_grad(loss))(decoder)
    assert 0 < value < 2 * np.log(model.text.size)
    dead = {
        jax.tree_util.keystr(path) for path, leaf in jax.tree_util.tree_leaves_with_path(gradient)
        if not np.abs(leaf).max() > 0
    }  # fmt: skip
    # Of eight pixels the CNN leaves one place to ask: whatever asks, the same is heard.
    asking = ("['cross']['query']", "['cross']['key']", "['norm_cross']", "['self']['key']['bias']")
    assert all(any(part in path for part in asking) for path in dead), dead


def test_it_writes_the_most_probable_word_after_the_other(decoder):
    _, data, _, model = made()
    images = jnp.asarray(data.test.arrays["ct"][:2] / 127.5 - 1, jnp.float32)

    @jax.jit
    def both(images):
        tokens, _ = model.controls.write(decoder, "ct", images, model.length)
        return tokens, model.controls.decoder.apply(
            {"params": decoder["decoder"]["ct"]}, images, tokens
        )

    tokens, logits = both(images)
    best = np.asarray(logits)[..., 2:].argmax(-1) + 2  # neither padding nor a start
    written = np.asarray(tokens)
    ended = np.cumsum(written == 2, axis=1) - (written == 2) > 0
    np.testing.assert_array_equal(written, np.where(ended, 0, best))


def test_without_maps_segmenters_are_left_out_in_one_line():
    chosen, _, parts, _ = made()
    bare = tiny.splits()
    model = FAMILY.build(chosen, bare.info, parts)
    assert model.controls.segmented == () and model.controls.decoded == ("xray", "ct")
    with pytest.warns(UserWarning, match="model.segmenter.modalities: the data have no maps of"):
        names = [one.name for one in stages(chosen, bare, parts.tokeniser, model)]
    assert "segment-ct" not in names


@pytest.mark.parametrize(
    "change, message",
    [
        ({"segmenter": {"modalities": ("xray",)}}, "segmenter.modalities: 'xray' is none of .*: ct"),
        ({"segmenter": {"modalities": ("report",)}}, "segmenter.modalities: 'report' is none"),
        ({"decoder": {"sources": ("pet",)}}, "model.decoder.sources: 'pet' is none of those .* ct"),
        ({"modalities": ("ct", "t1w"), "links": ("t1w-ct",), "decoder": {"sources": ("ct",)}},
         "'ct' is none of those that can be: none, without reports"),
    ],
)  # fmt: skip
def test_controls_that_cannot_be_trained(change, message):
    with pytest.raises(ValueError, match=message):
        FAMILY.check(tiny.config(**change))
