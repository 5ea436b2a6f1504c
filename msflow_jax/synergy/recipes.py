"""Configurations of SynerMedGen."""

from ml_collections import ConfigDict

from msflow_jax.config import default_config
from msflow_jax.synergy.settings import ARMS, NAME, RANDOM

ROUTES = ("t1w-t2w", "t2w-t1w", "t1w-flair", "t2w-flair", "t1w-ct", "ct-t1w")
# In no question and in no pair, nor their reverse, which selection could not tell from them.
HELD_OUT = ("pdw-flair", "flair-pdw", "ct-t2w", "t2w-ct")
ZERO_SHOT, UNPREPARED, MIXED = "zero_shot", "unprepared", "mixed"
# Content of encoders that learned of single images alone, or nothing, tells the modality, and without
# pairs drawing copies it. Of 1 to 100 validation liked this much noise best for ``questions``, which
# ``random`` follows (measured with 30 alone). ``aligned`` draws as well with 0.1 as with 0.4.
_NOISE = {"questions": 100.0, RANDOM: 100.0}
_STAGES = {ZERO_SHOT: ("understand", "reconstruct"), UNPREPARED: ("generate",), MIXED: ("mixed",)}


def phantom(variant: str = "") -> ConfigDict:
    """Slices of phantom heads at 32 pixels, for two cores.

    Args:
        variant: words joined by ``+``: an arm of understanding (``control`` is ``questions``),
            ``zero_shot`` (drawing never sees pairs), ``unprepared`` (drawing from pairs alone),
            ``mixed`` (questions and pairs at once); "": understanding, then drawing from pairs.

    Raises:
        ValueError: an unknown word.
    """
    config = default_config(NAME)
    config.data.name = "phantom_cohort"
    config.data.side = 32
    config.data.phantoms.subjects = 360
    config.data.slices.update(dict(first=0.3, last=0.75, spacing=8.0))
    config.model.tasks.update(dict(withhold=HELD_OUT, letters=0.25))
    config.sample.evaluate.routes = (*ROUTES, HELD_OUT[0], HELD_OUT[2])
    config.model.update(dict(prediction="data", named=0.5))
    # Of a predicted image few steps are nearer its mean, and quicker.
    config.sample.translate.steps = 5
    config.model.regression.routes = ROUTES
    config.model.segmenter.modalities = ("ct", "t1w", "t2w", "flair")
    # Questions are answered after some hundred steps; drawing goes on learning.
    config.model.lengths.update(dict(understand=0.5, regress=0.2, segment=0.2))
    config.train.update(dict(batch=32, steps=1500, eval_every=500, learning_rate=3e-3))
    for word in variant.split("+") if variant else ():
        _apply(config, word)
    if config.model.stages == _STAGES[ZERO_SHOT]:
        config.model.noise = _NOISE.get(config.model.tasks.arm, config.model.noise)
    else:
        # Guidance needs examples without their conditions; a model as small as this one pays with a
        # third of its error (0.0126 and 0.0092 on validation after 1000 steps), and goes without it.
        config.model.dropout.update(dict(words=0.0, latents=0.0, content=0.0))
    return config


def _apply(config: ConfigDict, word: str) -> None:
    arm = "questions" if word == "control" else word
    if arm in ARMS:
        config.model.tasks.arm = arm
    elif word in _STAGES:
        config.model.stages = _STAGES[word]
        if word == ZERO_SHOT:
            # Without a look the modality is guessed from the content, and then with one too: 21.7 dB
            # instead of 23.1 over all routes.
            config.model.dropout.words = 0.0
    else:
        known = ", ".join(("control", *ARMS, *_STAGES))
        raise ValueError(f"unknown variant {word!r}: join some of {known} by +")


def cohort() -> ConfigDict:
    """The user's examinations at 128 pixels, for a GPU."""
    config = default_config(NAME)
    config.data.name = "cohort"
    config.data.side = 128
    config.model.tasks.update(dict(instances=1_000_000, stream=True))
    config.model.encoder.update(dict(features=32, width=128, patch=8, look=64, look_width=32))
    config.model.expert.update(dict(width=384, depth=12, heads=6, pairs=6, size=64, hidden=1024))
    config.model.update(dict(patch=8, pooled=8, remat=True))
    config.train.update(dict(batch=64, steps=50_000, eval_every=2000))
    return config


def paper() -> ConfigDict:
    """The sizes of BAGEL-7B: two experts of Qwen2.5-7B's shape, SigLIP-so400m/14, 512 pixels.

    Drawing is in the latents of FLUX's autoencoder, 8 pixels for one of 16 channels, two by two of which
    are a token.
    """
    config = cohort()
    config.data.side = 512
    config.model.encoder.update(
        dict(kind="vit", features=1152, width=1152, patch=14, depth=27, heads=16, look=1152)
    )
    config.model.expert.update(
        dict(width=3584, depth=28, heads=28, pairs=4, size=128, hidden=18944, near=False)
    )
    config.model.update(dict(patch=2, pooled=8, time="logit_normal", dtype="bfloat16"))
    config.model.latent.update(dict(autoencoder="autoencoders/flux", dtype="bfloat16"))
    config.train.update(dict(batch=512, steps=100_000, eval_every=5000, learning_rate=2e-5))
    config.train.update(dict(weight_decay=0.0, ema=0.9999, sharding="fsdp"))
    config.sample.translate.update(dict(steps=50, shift=3.0, guidance=4.0, image_guidance=1.5))
    return config
