"""The section on translation, of models that have no more than it asks for."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from msflow_jax.paired import few_steps
from msflow_jax.paired.controls import Controls
from msflow_jax.paired.looks import looks_of
from msflow_jax.paired.sections import Translation, foreground
from msflow_jax.reports.few_steps import few_steps_section
from msflow_jax.reports.headlines import headlines
from msflow_jax.reports.results import Results
from msflow_jax.reports.translation import translation_section
from tests.paired.tiny import split, splits, with_maps

SIDE, DRAWS = 16, 3  # SSIM looks through a window of 11 pixels
NAMES = ["one draw", "mean of 3", "identity", "mean image", "tone curve"]


class Perturbed:
    """Draws the sources a little brighter, each time more."""

    def __init__(self, model, data):
        self.model, self.params, self.info = model, {}, data.info
        segmenter = SimpleNamespace(modalities=("ct",))
        self.config = SimpleNamespace(model=SimpleNamespace(segmenter=segmenter))

    def translate(self, sources, target, description=""):
        (images,) = sources.values()
        return np.stack([np.clip(images + 5.0 * k, 0, 255).astype(np.uint8) for k in range(DRAWS)])


def run_of(model, data):
    """An evaluation, as far as the section asks."""
    sample = SimpleNamespace(translate=SimpleNamespace(draws=DRAWS), batch=4, seed=0)
    return SimpleNamespace(
        flow=Perturbed(model, data), splits=data, chosen=data.test, sample=sample
    )


def test_a_model_needs_nothing_but_controls():
    data = splits(SIDE)
    model = SimpleNamespace(controls=Controls())
    block, arrays = Translation((("ct", "t1w"), ("t1w", "ct")), 4)(run_of(model, data))
    assert block["left_out"] == "No Dice and no lesions: the data have no maps of tissues."
    for route in block["routes"]:
        assert route["trained"] and route["examples"] == 4 and "anatomy" not in route
    # The images are noise, so that no other modality is named beside the slack of validation.
    looks = block["looks"]
    assert looks["names"] == ["xray", "ct", "t1w"] and looks["slices"] == []
    assert set(looks["rates"]) == {"images"} and looks["rates"]["images"]["count"] == 18
    # Of the training subjects some have both, so that there is a curve.
    assert list(block["routes"][0]["rows"]) == NAMES
    shown = arrays["translation_ct_t1w_source"]
    assert shown.dtype == np.uint8 and shown.shape == (4, SIDE, SIDE, 1)
    draws = np.stack([np.clip(shown + 5.0 * k, 0, 255).astype(np.uint8) for k in range(DRAWS)])
    spread = np.rint(4 * draws.std(axis=0, ddof=1)).astype(np.uint8)  # as that of files
    np.testing.assert_allclose(arrays["translation_ct_t1w_spread"], spread, atol=1)


def test_one_draw_has_no_spread_in_the_report(monkeypatch):
    monkeypatch.setattr(f"{__name__}.DRAWS", 1)
    data = splits(SIDE)
    block, arrays = Translation((("ct", "t1w"),), 4)(
        run_of(SimpleNamespace(controls=Controls()), data)
    )
    assert "translation_ct_t1w_spread" not in arrays and block["routes"][0]["spread"] == {}
    before = {**arrays, "translation_ct_t1w_spread": 0 * arrays["translation_ct_t1w_error"]}
    for shown in (arrays, before):  # an evaluation of before has one that is black
        results = Results("w", evaluation={"translation": block}, arrays=shown)
        page = str(translation_section(results).html)
        assert page.count("<img") == 4 and "spread" not in page.lower()


def test_what_a_model_may_have_beside_them():
    """Routes that were not trained, and latents."""

    class Halved:
        controls = Controls()
        modalities = {  # noqa: RUF012
            "ct": SimpleNamespace(latent=True), "t1w": SimpleNamespace(latent=False),
        }  # fmt: skip

        def linked(self, source, target):
            return source == "ct"

        def encode(self, params, name, x):
            return x[:, ::2, ::2]

        def decode(self, params, name, z):
            return z.repeat(2, 1).repeat(2, 2)

    block, _ = Translation((("ct", "t1w"), ("t1w", "ct")), 4)(
        run_of(Halved(), with_maps(splits(SIDE)))
    )
    there, back = block["routes"]
    assert "left_out" not in block  # there are maps, of a segmenter that is not trained yet
    assert there["trained"] and not back["trained"]
    assert list(there["rows"]) == NAMES and list(back["rows"]) == [*NAMES, "autoencoder alone"]


def with_blank(data, count):
    """The test split with its first images black, as slices beyond a head are."""
    arrays = {k: np.array(v) for k, v in data.test.arrays.items()}
    for name in ("ct", "t1w"):
        arrays[name][:count] = 0
    return dataclasses.replace(data, test=dataclasses.replace(data.test, arrays=arrays))


def translated(data, count):
    section = Translation((("ct", "t1w"),), count)
    block, _ = section(run_of(SimpleNamespace(controls=Controls()), data))
    found = {"split": "test", "sections": ["translation"], "translation": block}
    page = str(translation_section(Results("w", evaluation=found)).html)
    return block["routes"][0], headlines(found), " ".join(page.split())


def test_blank_images_are_counted_and_in_no_mean():
    data = splits(SIDE)
    whole, _, page = translated(data, 6)
    assert whole["blank"] == 0 and "blank" not in page
    route, lines, page = translated(with_blank(data, 2), 6)
    for name, row in route["rows"].items():
        assert row["psnr"]["value"] < 30, name  # of black images all but the mean image had 100
    assert route["blank"] == 2 and route["examples"] == 6
    assert "of 6 images 2 are blank in source and target" in page
    assert any("PSNR" in line for line in lines)


def test_a_route_of_blank_images_alone_has_no_psnr_and_says_so():
    route, lines, page = translated(with_blank(splits(SIDE), 6), 6)
    assert route["rows"]["identity"]["psnr"] == {"value": None, "interval": None}
    (line,) = [line for line in lines if "ct to t1w" in line]
    assert line.startswith("warning: ct to t1w: not measured: of 6 images all are blank")
    assert "all are blank" in page and "nan" not in page.lower()


class Jumps(Perturbed):
    """What :class:`FewSteps` asks beside."""

    step = 3

    def __init__(self, data):
        super().__init__(None, data)
        self.model = SimpleNamespace(jumps=True)

    def translate(self, sources, target, draws=0, description="", **settings):
        return super().translate(sources, target)[:1]


def test_few_jumps_count_no_blank_images_either(monkeypatch):
    data = with_blank(splits(SIDE), 2)
    flow = Jumps(data)
    monkeypatch.setattr(few_steps, "walking", lambda *_: (None, {}, "own field"))
    monkeypatch.setattr(few_steps.dataclasses, "replace", lambda one, **_: one)
    run = SimpleNamespace(flow=flow, chosen=data.test)
    block, _ = few_steps.FewSteps(None, {}, (("ct", "t1w"),), 6)(run)
    assert block["blank"] == 2 and block["samples"] == 6
    assert all(row["psnr"]["value"] < 30 for row in block["rows"].values())
    page = str(few_steps_section(Results("w", evaluation={"few_steps": block})).html)
    assert "of 6 images 2 are blank in source and target" in " ".join(page.split())


def test_a_route_that_no_example_has_is_absent():
    data = splits(SIDE)
    given = run_of(SimpleNamespace(controls=Controls()), data)
    given.chosen = split(6, (("xray",), ("ct",)), side=SIDE)
    block, arrays = Translation((("xray", "ct"),), 4)(given)
    assert block["absent"] == [["xray", "ct"]] and block["routes"] == [] and arrays == {}


@pytest.mark.parametrize("name, dark", [("ct", 12), ("t1w", 0)])
def test_foreground_is_where_any_is_bright(name, dark):
    given = split(2, (("ct", "t1w"),), side=SIDE)
    for one in ("ct", "t1w"):
        given.arrays[one][:] = dark
    given.arrays[name][0, 0, 0] = 13
    found = foreground(given, ("ct", "t1w"))
    assert found.shape == (2, SIDE, SIDE) and found.sum() == 1 and found[0, 0, 0]


def test_slices_of_volumes_count_together():
    """T1 differs from slice to slice, of which there are two; the X-ray is one picture of both."""
    data = splits(SIDE)

    def sliced(split):
        pairs = np.arange(len(split)) // 2
        arrays = {**split.arrays, "xray": split.arrays["xray"][2 * pairs]}
        truth = {**split.truth, "volume": pairs.astype(str), "slice": np.arange(len(split)) % 2}
        return dataclasses.replace(split, arrays=arrays, truth=truth, present={})

    given = dataclasses.replace(data, **{n: sliced(data[n]) for n in ("train", "val", "test")})
    found = looks_of(run_of(SimpleNamespace(controls=Controls()), given))
    assert found["slices"] == ["ct", "t1w"]
    assert found["rates"]["volumes"]["count"] == 9 and found["rates"]["images"]["count"] == 18
    one = dataclasses.replace(data.info, modalities={})
    assert (
        looks_of(run_of(None, dataclasses.replace(given, val=given.val.take([]), info=one))) == {}
    )
