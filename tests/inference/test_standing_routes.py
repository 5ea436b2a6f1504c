"""What the standing evaluation says of a route, and of what is given as its source."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from msflow_jax.inference.standing_routes import StandingRoutes, read_standing
from msflow_jax.inference.translated import Sources
from tests.evaluation.test_looks import images, learned


@pytest.fixture(scope="module")
def looks():
    return learned(("dark", "middle"))


def block(looks, **more):
    psnr = {"mean of 2": 12.0, "identity": 18.0, "tone curve": 10.0}
    rows = {name: {"psnr": {"value": value, "interval": None}} for name, value in psnr.items()}
    routes = [{"source": "dark", "target": "middle", "rows": rows}]
    return {"routes": routes, "looks": {**looks.to_dict(), "slices": ["dark"]}, **more}


def given(name, count=2):
    """Volumes of three slices."""
    parts = [(f"{i}.nii.gz", slice(3 * i, 3 * i + 3), None) for i in range(count)]
    return Sources(images(name, 3 * count, 5), parts, "nifti", np.repeat(range(count), 3), "axial")


def test_a_wrong_source_and_a_bad_route_are_warned_of(looks):
    standing = StandingRoutes("test", 100, block(looks))
    with pytest.warns(UserWarning) as caught:
        said = standing.warn(given("middle"), "dark", "middle", 100)
    lines = [str(one.message) for one in caught]
    assert lines == said["warnings"] == [
        "2 of 2 (0.nii.gz for one) look more like middle than dark by grey levels; --source says dark",
        "evaluation 'test': dark to middle: worse than the unchanged image (18.0 dB): the mean of the "
        "draws has a PSNR of 12.0 dB",
    ]  # fmt: skip
    assert said["evaluated"] == {
        "evaluation": "test", "step": 100, "psnr": 12.0,
        "without_model": {"unchanged image": 18.0, "tone curve": 10.0},
    }  # fmt: skip
    assert standing.of_source(given("dark"), "dark") == []
    assert standing.warn(given("middle"), "middle", "dark", 100) == {
        "evaluated": None,
        "warnings": [],
    }
    (line,) = standing.of_route("dark", "middle", 200)
    assert line.startswith("evaluation 'test' (of step 100, these are of step 200): dark to middle")
    told = StandingRoutes("test", 100, block(looks), digest="b" * 16)
    (line,) = told.of_route("dark", "middle", 100, "a" * 16)
    words = "(of an earlier training to step 100, these are of another one)"
    assert line.startswith(f"evaluation 'test' {words}: dark to middle")
    assert told.of_route("dark", "middle", 100) == standing.of_route("dark", "middle", 100)


def test_a_picture_where_slices_of_volumes_were_learned(looks):
    standing = StandingRoutes("test", 100, block(looks))
    one = Sources(images("dark", 1, 5), [("x.png", slice(0, 1), None)], "png")
    (line,) = standing.of_source(one, "dark")
    assert line.startswith("x.png is no volume, and dark was learned of slices of volumes")
    other = Sources(images("middle", 1, 5), [("x.png", slice(0, 1), None)], "png")
    assert standing.of_source(other, "middle") == []  # which was learned of pictures


def test_slices_that_are_read_one_by_one_count_by_volume(looks, recwarn):
    """As other commands read them; a picture counts alone."""
    standing = StandingRoutes("test", 100, block(looks))
    names, volume = [*(f"a/v.nii.gz/{i:03d}" for i in range(3)), "a/p.png"], "a/v.nii.gz"
    read = SimpleNamespace(
        images=images("middle", 4, 5), names=names, series=[volume, volume, volume, ""]
    )
    standing.warn_unlike(read, "middle")
    assert not recwarn
    with pytest.warns(UserWarning, match=r"^. of 2 \(a/v.nii.gz for one\) looks? more like middle"):
        standing.warn_unlike(read, "dark")
    assert StandingRoutes("test", 100, {"looks": {}}).of_source(given("dark"), "dark") == []


def test_names_that_end_in_a_number_are_no_volume(looks):
    """As an archive's, and DICOM files without an ending."""
    names = [f"test/{i:05d}" for i in range(4)]
    read = SimpleNamespace(images=images("middle", 4, 5), names=names, series=[""] * 4)
    (line,) = StandingRoutes("test", 100, block(looks)).unlike_read(read, "dark")
    assert line.startswith("4 of 4 (test/00000 for one) look more like middle than dark")


def test_what_cannot_be_checked_is_said(looks, tmp_path):
    assert read_standing(tmp_path) == StandingRoutes()
    (line,) = StandingRoutes().of_source(given("dark"), "dark")
    assert (
        line == "--source=dark is not checked: there is no standing evaluation; run msflow evaluate"
    )
    folder = tmp_path / "evaluations" / "test"
    folder.mkdir(parents=True)
    (folder.parent / "standing.json").write_text('{"name": "test"}')
    path = folder / "evaluation.json"
    for content, message in (
        ("{", "is damaged"),
        (
            json.dumps({"split": "test"}),
            "'test' keeps nothing of how each modality looks; evaluate",
        ),
        (
            json.dumps({"translation": {"looks": {"names": 3}}}),
            "not as it was written.*evaluate again",
        ),
    ):
        path.write_text(content)
        with pytest.warns(UserWarning, match=f"--source=dark is not checked: .*{message}"):
            assert read_standing(tmp_path).warn(given("dark"), "dark", "middle", 1)["warnings"]
    settings = {"step": 3, "parameters": "a" * 16}
    path.write_text(json.dumps({"settings": settings, "translation": block(looks)}))
    assert read_standing(tmp_path).step == 3 and read_standing(tmp_path).digest == "a" * 16
    assert read_standing(tmp_path).of_source(given("dark"), "dark") == []
