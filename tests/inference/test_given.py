"""What users give to models of several modalities: taken as it is meant, or refused by its name."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.diffusers.family import FAMILY
from msflow_jax.inference.flow import Flow
from msflow_jax.parallel.batched import batched
from tests.diffusers import tiny

pytest.importorskip("tokenizers")
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (3, tiny.SIDE, tiny.SIDE, 1)).astype(np.uint8)
X[0, 0, 0], X[0, 0, 1] = 0, 255
FLOATS = X / 127.5 - 1


@pytest.fixture(scope="module")
def flow():
    model, parts = tiny.model()
    params = {**tiny.params(size=0.1), **parts.params}
    info = tiny.splits().info
    return Flow(Path("runs/w"), tiny.config(), info, FAMILY, parts, model, params, step=0)


def taking(flow):
    """Every verb that takes images of CT, as a function of them."""
    return {
        "translate": lambda x: flow.translate({"ct": x}, "t1w", draws=1),
        "report": lambda x: flow.report({"ct": x}, draws=1),
        "generate": lambda x: flow.generate_modalities(["t1w"], sources={"ct": x}),
        "embed": lambda x: flow.embed("ct", x),
    }


@pytest.mark.parametrize("verb", ["translate", "report", "generate", "embed"])
@pytest.mark.parametrize(
    "images, message",
    [
        (X.astype(np.float32), r"ct: float images must lie in \[-1, 1\], got 0 to 255: of 0..255"),
        (X / np.float32(255), r"ct: float images .* looks like \[0, 1\]"),
        (8 * X.astype(np.float32) - 1000, r"ct: float images must lie in \[-1, 1\], got -1000 to"),
        (np.where(X > 250, np.nan, FLOATS), "ct: .* got nan to nan: fill in first what is NaN"),
        (np.where(X > 250, np.inf, FLOATS), "ct: .* to inf: fill in first"),
        (X.astype(np.int16), "ct must be uint8 .* got int16: scale them"),
        (X > 128, "ct must be uint8 .* got bool"),
        (X.repeat(2, 1).repeat(2, 2), r"ct must be uint8 \[N, 8, 8, 1\].* got uint8 \(3, 16"),
        (np.ma.masked_array(X, X > 9), r"ct are a masked array.* fill it first: images\.filled"),
        ([np.ma.masked_array(one, one > 9) for one in X], "ct are a masked array"),
        ([X[0], X[1, :4]], "ct must be uint8 .* all of one size"),
        (X[:0], r"got uint8 \(0, 8, 8, 1\)"),
    ],
)
def test_images_that_are_not_what_they_should_be(flow, verb, images, message):
    with pytest.raises(ValueError, match=message):
        taking(flow)[verb](images)


def test_floats_lists_and_a_missing_axis_are_the_same_images(flow):
    translate, embed = taking(flow)["translate"], taking(flow)["embed"]
    drawn, vectors = translate(X), embed(X)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    for same in (FLOATS, list(X), X[..., 0], jnp.asarray(X), np.ma.masked_array(X)):
        np.testing.assert_allclose(embed(same), vectors, atol=1e-5)
    np.testing.assert_array_equal(translate(list(X)), drawn)
    assert np.abs(translate(FLOATS[..., 0]).astype(int) - drawn).max() <= 1


def test_sources_that_do_not_belong_together(flow):
    rows = flow.parts.tokeniser.encode(tiny.REPORTS[:2])
    both = {"ct": X, "report": rows}
    for call in (
        lambda: flow.translate(both, "t1w", draws=1),
        lambda: flow.generate_modalities(["t1w"], sources=both),
    ):
        with pytest.raises(ValueError, match="ct has 3 examples, but 2 entries of report"):
            call()
    with pytest.raises(ValueError, match="ct has 3 examples, but 2 entries of t1w"):
        flow.report({"ct": X, "t1w": X[:2]})
    for call in (lambda: flow.translate({}, "t1w"), lambda: flow.report({})):
        with pytest.raises(ValueError, match="give at least one modality as a source, of report,"):
            call()
    for call in (lambda: flow.translate(X, "t1w"), lambda: flow.report(X)):
        with pytest.raises(ValueError, match=r"such as \{'t1w': images\}, got ndarray"):
            call()


def test_arrays_of_different_lengths_are_not_cut():
    run = batched(lambda params, items, index: items[0] + items[1], 2)
    np.testing.assert_array_equal(run({}, (np.ones(3), np.ones(3))), 2 * np.ones(3))
    for other in (2, 4, 0):
        with pytest.raises(ValueError, match=rf"different lengths, \[3, {other}\]"):
            run({}, (np.ones(3), np.ones(other)))
    with pytest.raises(ValueError, match="no images"):
        run({}, (np.ones(0), np.ones(0)))


def test_a_report_is_no_picture(flow):
    with pytest.raises(ValueError, match=r"target 'report' is text: use flow\.report\(sources\)"):
        flow.translate({"ct": X}, "report")


def test_texts_and_tokens(flow):
    texts = list(tiny.REPORTS[:3])
    rows = flow.parts.tokeniser.encode(texts)
    vectors = flow.embed("report", rows)
    for same in (texts, tuple(texts), np.array(texts), rows.astype(np.int64)):
        np.testing.assert_array_equal(flow.embed("report", same), vectors)
    np.testing.assert_allclose(flow.embed("report", texts[0]), vectors[:1], atol=1e-6)
    drawn = flow.translate({"report": rows}, "t1w", draws=1)
    np.testing.assert_array_equal(flow.translate({"report": texts}, "t1w", draws=1), drawn)
    size = flow.parts.tokeniser.size
    for wrong, message in (
        (rows[:, :3], r"report must be int32 \[N, \d+\], .*encode\(texts\).* got int32 \[3, 3\]"),
        (rows.astype(float), "report must be int32 .* got float64"),
        (np.full_like(rows, size), f"numbers in 0..{size - 1}, got {size} to {size}"),
        (rows - 5, "report must be int32 .* got -5 to"),
        (rows[:0], r"got int32 \[0, \d+\]"),
    ):
        for call in (
            lambda x: flow.embed("report", x),
            lambda x: flow.translate({"report": x}, "t1w", draws=1),
            lambda x: flow.generate_modalities(["t1w"], sources={"report": x}),
        ):
            with pytest.raises(ValueError, match=message):
                call(wrong)


def test_what_damaged_parameters_give_is_no_answer(flow):
    damaged = dataclasses.replace(flow, params=jax.tree.map(lambda a: a * np.nan, flow.params))
    for verb, message in (
        ("report", "drawn reports are not finite: the parameters are damaged"),
        ("embed", "vectors of ct are not finite: the parameters are damaged"),
    ):
        with pytest.raises(FloatingPointError, match=message):
            taking(damaged)[verb](X)
    with pytest.raises(FloatingPointError, match="drawn reports are not finite"):
        damaged.generate_modalities(["report"], sources={"ct": X})


def test_what_is_no_setting_of_a_drawing(flow):
    ct = {"ct": X}
    for call, message in (
        (lambda: flow.translate(ct, "t1w", draws=1.5), "draws must be a whole number .* got 1.5"),
        (lambda: flow.report(ct, draws=-1), "draws must be at least 1, got -1"),
        (lambda: flow.translate(ct, "t1w", steps=2.0), "steps must be a whole number .* got 2.0"),
        (
            lambda: flow.translate(ct, "t1w", guidance=np.nan),
            "guidance must be a finite .* got nan",
        ),
        (lambda: flow.translate(ct, "t1w", guidance=-3), r"guidance must be at least 0, got -3"),
        (lambda: flow.report(ct, seed=2**32), "seed must lie in .* got 4294967296"),
        (lambda: flow.generate_modalities(["t1w"], 1.5), "count must be a whole .* got 1.5"),
        (lambda: flow.translate(ct, "pet"), "no modality 'pet': this model has report, xray"),
        (
            lambda: flow.translate({"pet": X}, "ct"),
            "no modality 'pet': this model has report, xray",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()
