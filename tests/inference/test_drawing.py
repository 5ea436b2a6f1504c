"""What draws best is measured cheaply, read beside what classifies best, and used to generate."""

import dataclasses
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from msflow_jax.data import Info, Modality
from msflow_jax.data.intensity import Intensity
from msflow_jax.inference import exporting
from msflow_jax.inference.calibration import Calibration
from msflow_jax.inference.flow import Flow
from msflow_jax.inference.validation import make_flow_loss, make_validation, resolution
from msflow_jax.storage.checkpoints import Checkpoints
from msflow_jax.training.sequence import read_drawing, read_params
from tests.storage.test_checkpoints import fill, make_state
from tests.training.tiny_training import save


class Shade:
    """A model that draws the grey value it was given as parameters."""

    classes = ("a", "b")

    def numbers(self, labels):
        return np.array([self.classes.index(label) for label in labels])

    def generate(self, params, condition, key, *, index):
        return jnp.broadcast_to(params["grey"] + params["codec"], (len(condition), 4, 4, 1))

    def loss(self, params, batch, key, *, train):
        assert not train and batch["image"].shape == (1, 4, 4, 1)
        error = (batch["image"] - params["grey"]) ** 2
        return error.sum(), {"loss_image": error.mean()}


def test_images_are_generated_with_what_draws_best():
    sample = dict(seed=0, batch=4, generate={}, classify={})
    flow = Flow(
        path=None, config=ConfigDict({"sample": sample}), info=None, family=None,
        parts=SimpleNamespace(params={"codec": jnp.zeros(())}), model=Shade(),
        params={"grey": jnp.ones(()), "codec": jnp.zeros(())}, step=3,
    )  # fmt: skip
    assert flow.drawing_step == 3 and flow.generate("a").max() == 255

    other = dataclasses.replace(flow, drawing=(7, {"grey": -jnp.ones(())}))
    assert other.step == 3 and other.drawing_step == 7
    assert other.generate(["a", "b"], 2).tolist() == np.zeros((4, 4, 4, 1)).tolist()


def test_the_loss_of_the_drawing_is_the_same_at_every_call_and_batch():
    images = np.linspace(0, 255, 3 * 16).reshape(3, 4, 4, 1).astype(np.uint8)
    labels, params = np.array([0, 1, 1]), {"grey": jnp.float32(0.5)}
    found = [
        make_flow_loss(Shade(), images, labels, seed=0, batch=batch)(params) for batch in (1, 8, 64)
    ]
    expected = np.mean([((images[i % 3] / 127.5 - 1) - 0.5) ** 2 for i in range(64)])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_checkpoint_that_draws_is_read_beside_the_one_that_classifies(tmp_path):
    with Checkpoints(tmp_path / "checkpoints", keep=1) as checkpoints:
        for step, (auc, loss) in enumerate([(0.9, 0.9), (0.5, 0.1), (0.6, 0.5)], start=1):
            save(checkpoints, make_state(step), {"val_auc": auc, "val_flow_loss": loss})
    step, params = read_params(tmp_path, "val_auc")
    assert step == 1
    drawn, others = read_drawing(tmp_path, "val_auc", step)
    assert drawn == 2
    assert (others["layer"]["kernel"] != params["layer"]["kernel"]).all()
    assert read_drawing(tmp_path, "val_auc", 2) is None
    fill(tmp_path / "old" / "checkpoints", (0.5, 0.9, 0.6))  # nothing measured how they draw
    assert read_drawing(tmp_path / "old", "val_auc", 2) is None


@pytest.mark.parametrize(
    "select, expected",
    [
        ("val_auc", 0.02),
        ("val_accuracy", 0.02),
        ("val_dice", 0.02),
        ("-val_nll", 0),
        ("-val_bits", 0),
    ],
)
def test_one_image_is_the_resolution_of_a_share(select, expected):
    assert resolution(select, 50) == expected


def test_a_validation_says_what_it_reports():
    config = ConfigDict(
        dict(
            train=dict(select="val_auc", draws=1),
            sample=dict(seed=0, batch=4, overlap=0.5, classify={}),
        )
    )
    model = SimpleNamespace(classes=("a", "b"), classify=lambda *a, draws=1: None)
    images = np.zeros((4, 4, 4, 1), np.uint8)
    one = make_validation(model, images, np.array([0, 1, 1, 0]), config)
    assert one.metrics == ("val_auc", "val_accuracy", "-val_nll") and one.resolution == 0.25
    # All of one class: there is no area under a curve, and no training that would pick by it.
    with pytest.raises(
        ValueError, match="the 4 images of the validation .* all of the class a: no A"
    ):
        make_validation(model, images, np.zeros(4, int), config)
    config.train.select = "-val_nll"
    assert make_validation(model, images, np.zeros(4, int), config).metrics[0] == "val_accuracy"
    config.train.select = "val_auc"
    drawn = make_validation(model, images, np.array([0, 1, 1, 0]), config, Shade())
    assert drawn.metrics[0] == "-val_flow_loss"


@pytest.mark.parametrize(("verb", "step"), [("classify", 3), ("generate", 7)])
def test_an_exported_program_names_the_step_of_its_own_parameters(monkeypatch, verb, step):
    made = {verb: lambda flow, requested: (None, [], [], {})}
    monkeypatch.setattr(exporting, "_PROGRAMS", made)
    monkeypatch.setattr(exporting, "_reading", lambda info, used: {})
    monkeypatch.setattr(exporting, "_abstain", lambda flow: [])
    flow = SimpleNamespace(
        step=3,
        drawing_step=7,
        classes=("a",),
        info=None,
        model=None,
        require=lambda verb: None,
        calibration=Calibration(),
    )
    assert exporting.describe(flow, verb, {})[2]["step"] == step


def test_an_export_tells_the_intensity_of_each_modality():
    facts = dict(
        name="x", classes=("a", "b"), channels=1, side=8, task="binary-class", licence="", md5="",
        source="s", flips=(),
    )  # fmt: skip
    window = Intensity("window", -1024.0, 1024.0, "HU", "CT")
    one = exporting._reading(Info(**facts, intensities={"image": window}))
    assert one["intensity"] == window.to_dict() and "modalities" not in one
    of = {name: Modality("image", (8, 8, 1)) for name in ("ct", "xray")}
    of["report"] = Modality("tokens", (4,), (0, 9))
    many = exporting._reading(Info(**facts, modalities=of, intensities={"ct": window}))
    assert list(many["modalities"]) == ["ct", "xray"] and "intensity" not in many
    words = {name: found["in_words"] for name, found in many["modalities"].items()}
    assert words == {"ct": window.describe(), "xray": Intensity("full").describe()}
    some = exporting._reading(
        Info(**facts, modalities=of, intensities={"ct": window}), ("ct", "t1w")
    )
    with pytest.raises(ValueError, match="has no images 'pet'; there are ct, xray$"):
        Info(**facts, modalities=of).of_modality("pet")
    assert some["modalities"] == {"ct": many["modalities"]["ct"]}  # of those that the model uses
