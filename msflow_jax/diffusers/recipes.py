"""Configurations of MedM2G's diffusers."""

from ml_collections import ConfigDict

from msflow_jax.config import default_config
from msflow_jax.diffusers.settings import NAME

# What translations of phantoms are measured on; all of one link.
ROUTES = ("t1w-t2w", "t2w-t1w", "t1w-flair", "pdw-flair", "t1w-ct", "ct-t1w")


def phantom() -> ConfigDict:
    """Slices of phantom heads at 32 pixels, three disjoint sets of subjects, for two cores."""
    config = default_config(NAME)
    config.data.name = "phantom_cohort"
    config.data.side = 32
    config.data.phantoms.subjects = 960
    config.data.phantoms.withhold = "disjoint"
    config.data.slices.update(dict(first=0.5, last=0.65, spacing=12.0))
    config.model.net.update(dict(width=96, depth=4, patch=4, head_channels=32))
    config.model.context.side = 8  # a token for each patch: what is translated keeps its place
    config.model.modalities = ("report", "xray", "ct", "t1w", "t2w", "pdw", "flair")
    config.model.links = ("xray-report", "ct-report", "t1w+t2w+pdw+flair-ct")
    # CT has learned from reports when MR comes, which tell nothing of places.
    config.model.shared_guides = False
    config.model.regression.routes = ROUTES
    config.sample.evaluate.routes = ROUTES
    for verb in ("translate", "generate"):
        config.sample[verb].steps = 10
    config.train.update(dict(batch=32, steps=600, eval_every=200, learning_rate=1e-3))
    return config


def cohort() -> ConfigDict:
    """The user's examinations at 128 pixels, for a GPU."""
    config = default_config(NAME)
    config.data.name = "cohort"
    config.data.side = 128
    config.model.shared_subjects = True
    config.model.net.update(dict(width=384, depth=12, patch=8, head_channels=64, remat=True))
    config.train.update(dict(batch=64, steps=50_000, eval_every=2000))
    return config
