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
    # Guides alone, behind a diffuser that stays as it is, learn to translate too slowly for two cores.
    config.model.frozen_trunks = False
    config.model.text.width = 64
    # On the common space itself, and heavy: so little of an image is in its report that else an encoder
    # keeps too little for those that attach to it later.
    config.model.align.update(dict(views=0, invariance=5.0))
    config.model.regression.routes = ROUTES
    config.model.segmenter.modalities = ("ct", "t1w", "t2w", "flair")
    config.model.decoder.sources = ("xray", "ct")
    config.sample.evaluate.routes = ROUTES
    for verb in ("translate", "generate"):
        # Of second order: ten steps of Euler's draw too narrow a spread, and cover less than they state.
        config.sample[verb].update(dict(steps=10, solver="heun"))
    config.model.lengths.update(
        dict(text=1.25, align=0.6, draw=0.35, link=1.2, regress=0.45, segment=0.5)
    )
    config.train.update(dict(batch=32, steps=400, eval_every=200, learning_rate=2e-3))
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


def paper() -> ConfigDict:
    """Sizes of CoDi, on which MedM2G is built: 256 pixels in 32 x 32 x 4 latents, for several GPUs.

    A diffuser as large as CoDi's (Stable Diffusion's, 860 M parameters) is a DiT of width 1152 and depth
    28 (DiT-XL/2, arXiv 2212.09748). Encoders of images are ViT-B/16; those of text have the width, depth
    and numbers of a latent (768) of CoDi's. Batch and weight decay are XGeM's (arXiv 2501.04614).
    """
    config = cohort()
    config.data.side = 256
    config.model.latent.update(
        dict(autoencoder="autoencoders/sd-vae-ft-mse", dtype="bfloat16", batch=32)
    )
    config.model.net.update(
        dict(width=1152, depth=28, patch=16, head_channels=64, dtype="bfloat16", remat=True)
    )
    config.model.align.update(
        dict(encoder="vit", width=96, depth=12, patch=16, heads=12, features=768, views=2048)
    )
    config.model.text.update(dict(side=4, latent=48, width=768, depth=12))
    config.model.context.update(dict(width=160, features=1280, side=16))
    config.train.update(dict(batch=512, steps=100_000, eval_every=5000, learning_rate=1e-4))
    config.train.update(dict(weight_decay=1e-4, ema=0.9999, sharding="fsdp"))
    config.sample.batch = 16
    for verb in ("translate", "generate"):
        config.sample[verb].steps = 50
    return config
