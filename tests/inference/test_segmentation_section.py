"""The section of a segmentation: what of its images is measured, and which of them are shown."""

from types import SimpleNamespace

import numpy as np
import pytest

from msflow_jax.data import Split
from msflow_jax.data.padding import as_facts
from msflow_jax.data.pixel_sizes import as_unsized
from msflow_jax.inference.sections import SHOWN_MAPS, Segmentation
from msflow_jax.reports.results import Results
from msflow_jax.reports.segmentation import segmentation_section

COUNT, SIDE = 24, 16


def measured(**facts):
    """Images of half the height of their grid whose share of wrong pixels rises, and the section's."""
    rng = np.random.default_rng(0)
    space = (COUNT, SIDE, SIDE)
    truth, wrong = np.zeros(space, np.uint8), np.zeros(space, bool)
    unsure = np.zeros(space, np.float32)
    for i, height in enumerate(facts["filled_rows"].tolist() if facts else [SIDE] * COUNT):
        rows = slice((SIDE - height) // 2, (SIDE - height) // 2 + height)
        wrong[i, rows] = rng.random((height, SIDE)) < 0.02 + 0.02 * i
        unsure[i, rows] = rng.uniform(0.1, 0.9, (height, SIDE))
    truth[:, 7:9, :8] = 1
    names = tuple(f"{i:02d}" for i in range(COUNT))
    images = np.zeros((*space, 1), np.uint8)
    split = Split.of_images(images, np.zeros(COUNT, np.int32), names, truth=facts or None)
    split = Split({**split.arrays, "map": truth}, names, truth=facts or None)
    flow = SimpleNamespace(
        info=SimpleNamespace(dims=2, spacing=()),
        segment_uncertainly=lambda *_, **__: (np.where(wrong, 1 - truth, truth), unsure),
    )
    run = SimpleNamespace(chosen=split, split="test", flow=flow, classes=("air", "organ"))
    block, arrays = Segmentation()(run)
    return block, arrays, wrong, unsure


def test_padding_does_not_count_as_certain_and_right():
    heights = np.array([4, 16, 8] * 8)
    facts = as_facts(np.stack([heights, np.full(COUNT, SIDE)], axis=1))
    block, arrays, wrong, unsure = measured(**facts)
    assert block["uncertainty"]["auroc"] == pytest.approx(0.5, abs=0.05)
    names = arrays["segmented_names"].tolist()
    shares = wrong.sum((1, 2)) / (SIDE * heights)
    assert np.all(np.diff(shares[[int(name) for name in names]]) >= 0) and len(names) == SHOWN_MAPS
    assert arrays["segmented_inside"].sum() == SIDE * heights[[int(n) for n in names]].sum()
    evaluation = {"segmentation": block, "data": {"space": [SIDE, SIDE]}}
    page = str(segmentation_section(Results("w", evaluation=evaluation, arrays=arrays)).html)
    for name in names:
        low = (SIDE - heights[int(name)]) // 2
        mean = unsure[int(name), low : SIDE - low].mean()
        at = page.index(f'name">{name}<')
        said = page[:at].rsplit("mean uncertainty", 1)[1].split("<")[0]
        assert float(said) == pytest.approx(mean, abs=3e-3)


def test_what_was_not_padded_is_as_before():
    whole, arrays, *_ = measured()
    known, *_ = measured(**as_facts(np.full((COUNT, 2), SIDE)))
    assert whole == known and "segmented_inside" not in arrays


def test_pixels_are_said_to_be_those_of_the_model_and_files_without_a_size_are_counted():
    block, *_ = measured(**as_facts(np.full((COUNT, 2), SIDE)), **as_unsized(np.eye(COUNT)[0] > 0))
    assert block["unit"] == "pixels" and block["unsized"] == 1
    evaluation = {"segmentation": block, "data": {"space": [SIDE, SIDE]}}
    page = str(segmentation_section(Results("w", evaluation=evaluation)).html)
    assert "HD95 pixels at 16 a side" in page and "as the model reads them, not of files" in page
    assert "Some files do not say how large their pixels are, 1 of the images here" in page
    block = {**measured()[0], "unit": "mm"}
    page = str(
        segmentation_section(Results("w", evaluation={**evaluation, "segmentation": block})).html
    )
    assert (
        "HD95 mm" in page and "of the images here" not in page and "as the model reads" not in page
    )
