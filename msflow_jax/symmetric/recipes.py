"""Recipes of symmetric flows that several configurations share."""

from ml_collections import ConfigDict

from msflow_jax.config import check_variant


def cpu(config: ConfigDict, variant: str = "cpu") -> ConfigDict:
    """The same run sized for two cores, if the variant is ``cpu``; unchanged if it is empty.

    A network of 1.1 M parameters, without resizing; the simplex code; 0.3 of each batch at the time at
    which classification starts.

    Raises:
        ValueError: any other variant.
    """
    if check_variant(variant):
        config.model.net.update(
            dict(width=32, multipliers=(1, 2, 2), blocks=1, attention=(4,), head_channels=32)
        )
        config.model.resize = 0
        config.model.code.scheme = "simplex"
        config.model.time.classification_fraction = 0.3
        config.train.update(
            dict(epochs=0.0, steps=2000, batch=32, learning_rate=1e-3, ema=0.99, shift=2)
        )
        config.train.update(dict(eval_every=100, log_every=10))
    return config


def latent(config: ConfigDict, variant: str = "") -> ConfigDict:
    """The same run in an autoencoder's latents: MedSymmFlow's "LatMSF" at its published size.

    224 pixels enlarged to 256, Stable Diffusion's autoencoder (32 x 32 x 4 latents), a network of width
    128 (35.76 M parameters). With ``cpu``: the 28-pixel files enlarged to 224, a tiny autoencoder
    (28 x 28 x 32 latents), the network and code of :func:`cpu`.

    Raises:
        ValueError: any other variant.
    """
    config.data.side = 224
    config.model.code.scheme = "encoded"
    config.model.net.width = 128
    config.model.resize = 256
    config.model.latent.autoencoder = "autoencoders/sd-vae-ft-mse"
    config.sample.batch = 32
    config = cpu(config, variant)
    if variant == "cpu":
        config.data.side = 28
        config.model.resize = 224
        config.model.latent.autoencoder = "autoencoders/taef2"
        config.train.shift = 1  # of latents, which are 8 pixels wide
    return config


def volume(config: ConfigDict, variant: str = "") -> ConfigDict:
    """A run on volumes: 64 voxels a side on one GPU of 24 GiB, or with ``cpu`` 32 on two cores.

    With ``cpu`` a UNet of 16 to 64 channels without attention, on volumes brought to 16 voxels a side:
    on AdrenalMNIST3D's validation split near one of 8 to 64 channels at all 32 (AUC 0.864 in 2000 steps
    and 0.875 in 1000, one seed each), whose step takes several times as long. Half of each batch is at
    the time at which classification starts; every class is drawn equally often.

    Raises:
        ValueError: any other variant.
    """
    config = cpu(config, variant)
    small = variant == "cpu"
    config.data.dims = 3
    config.data.side = 32 if small else 64
    config.model.code.scheme = "simplex"
    config.model.resize = 16 if small else 0
    config.model.net.update(
        dict(
            width=16 if small else 64,
            groups=8 if small else 32,
            multipliers=(1, 2, 4) if small else (1, 2, 2, 4),
            blocks=1,
            attention=() if small else (8,),
            head_channels=32,
            remat=not small,
        )
    )
    config.model.time.classification_fraction = 0.5
    config.train.update(dict(batch=16, balanced=True, shift=2))
    config.sample.batch = 32
    config.sample.generate.per_class = 32
    if small:
        config.train.update(dict(steps=1200, eval_every=100))
    return config


def segmentation(config: ConfigDict) -> ConfigDict:
    """The same run with a class for each pixel; what it is best at is the label, not the drawing.

    The simplex code, whose read-out is a posterior; half of each batch at the time at which reading a
    map starts, and more weight on its error than published (0.3 on the image's instead of 0.7).
    """
    config.model.task = "segment"
    config.model.resize = 0
    config.model.code.scheme = "simplex"
    config.model.image_weight = 0.3
    config.model.time.classification_fraction = 0.5
    config.train.select = "val_dice"
    return config
