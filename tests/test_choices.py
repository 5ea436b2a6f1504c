"""What a user chooses overrules a recipe, or a line says that it does not."""

import warnings

import pytest

from msflow_jax.config import load_config

QUICK = "--config=quickstart"
PIXELS = "--config=pixel_derma:cpu"


def test_epochs_take_the_place_of_a_recipes_steps():
    assert load_config([QUICK]).train.steps == 2000
    assert load_config([QUICK, "--config.train.epochs=3"]).train.steps == 0
    with pytest.warns(UserWarning, match="train.epochs=3.0 has no effect"):
        both = load_config([QUICK, "--config.train.epochs=3", "--config.train.steps=7"])
    assert (both.train.steps, both.train.epochs) == (7, 3)
    assert load_config([QUICK, "--config.train.epochs=0"]).train.steps == 2000


@pytest.mark.parametrize(
    ("config", "side", "inside"), [(PIXELS, 224, 0), ("--config=pixel_derma", 224, 32),
                                   ("--config=volume_adrenal:cpu", 64, 16)]
)  # fmt: skip
def test_a_side_that_the_model_does_not_work_at_is_named(config, side, inside):
    given = [config, f"--config.data.side={side}"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        load_config([config])
        load_config([*given, "--config.model.resize=0"])
        if not inside:
            load_config(given)
    if inside:
        with pytest.warns(
            UserWarning, match=f"data.side={side}, but the model works at {inside} in"
        ):
            load_config(given)
