"""The default configuration. Files under ``configs/`` change what they need; unknown keys are errors."""

from ml_collections import ConfigDict

from msflow_jax import data
from msflow_jax.coupling.layout import PUBLISHED


def default_config() -> ConfigDict:
    """A pixel-space symmetric flow at the published size (MedSymmFlow "MSF", arXiv 2507.19098).

    Returns:
      A locked ``ConfigDict`` with the parts ``data`` (what is read), ``model`` (what is built),
      ``train`` (how it is trained) and ``sample`` (how it is used).
    """
    config = ConfigDict()
    config.data = data.default_config()
    config.model = ConfigDict(
        dict(
            family="symmetric",  # or "coupling", whose settings are in the part of that name
            task="classify",  # or "segment": labels are the per-pixel maps of the data
            # "palette", "grey" or "simplex"; with an autoencoder also "encoded" or "pooled"
            code=dict(scheme="palette", beta=4.0, pooling=""),
            latent=dict(
                autoencoder="",  # folder of tools/convert_vae.py, or "patches"; empty: pixels
                readout="latent",  # or "decode", as published
                pictures=8,  # label pictures of each class that are encoded once
                patch=8,  # "patches": side of a patch
                channels=16,  # and its principal components
                precondition=False,  # by the spread of each channel of the latents
                cache="",  # where latents are kept; empty: in the user's cache folder
                batch=8,  # images encoded at a time, each with its flips
                dtype="float32",  # or "bfloat16": what the autoencoder computes in
            ),
            net=dict(
                name="unet",  # or "dit"
                width=64,
                multipliers=(1, 2, 2, 2),  # unet: one a level
                blocks=2,  # unet: residual blocks a level
                attention=(2,),  # unet: down-sampling factors with attention
                head_channels=64,
                groups=32,  # unet: groups of the normalisation
                dropout=0.0,
                patch=4,  # dit
                depth=6,  # dit
                dtype="float32",  # or "bfloat16": compute; parameters stay float32
                remat=False,
            ),
            # Side inside the network, or at which images are encoded; the authors' code makes 32 of
            # 28 and 256 of 224. 0: as the images are.
            resize=0,
            image_weight=0.7,
            sigma_min=0.0,
            time=dict(name="uniform", loc=0.0, scale=1.0, reading_share=0.0, reading_weight=1.0),
            code_dropout=0.0,
            coupling=dict(
                layout="checkerboard:4 squeeze channel:4 split checkerboard:2 squeeze channel:4",
                # Or "convolutional", Glow's; "generation", "classification": MAGIC-Flow's.
                conditioner="residual",
                widths=(32, 32, 32),  # "residual", "convolutional": the first is the width
                blocks=1,  # "residual"
                places=True,  # "convolutional": offsets by place; False for images without a frame
                dropout=0.3,  # "classification"
                dense=False,  # "classification": the published head
                bound=0.5,  # largest absolute log-scale of a pass
                passes=2,
                mixing="plu",  # or "dense"
                split_prior="normal",  # or "learned"
                dequantisation="uniform",  # or "variational"
                logit_margin=0.0,  # 0: no logit; 0.05 is RealNVP's
                picture="",  # image file: the mask of the steps "picture"
                contrast=0.0,  # weight of the cross-entropy over the class likelihoods
                remat=False,
            ),
        )
    )
    config.train = ConfigDict(
        dict(
            seed=0,
            epochs=1000.0,
            steps=0,  # overrides epochs where positive
            batch=64,
            learning_rate=4e-4,
            warmup=0.1,
            weight_decay=0.0,
            clip=1.0,
            ema=0.999,  # published: 0.7
            flips=True,  # the data set's published flips
            balanced=False,  # draw every class equally often
            shift=0,  # random shifts by up to this many pixels (or latents)
            mesh=dict(data=-1, model=1),  # devices an axis; -1: the rest
            sharding="replicated",  # of the parameters: or "fsdp", "tensor"
            accumulate=1,  # parts of a batch whose gradients are averaged
            steps_per_dispatch=0,  # 0: 1 on CPU, where a loop is slow, 10 elsewhere
            log_every=50,
            eval_every=500,
            keep=2,
            select="val_auc",
            draws=1,  # noise draws of a validation
            writers=("tensorboard",),  # beside metrics.jsonl; also "wandb", "mlflow"
            profile=False,  # write a trace of a few steps to the workdir
        )
    )
    config.sample = ConfigDict(
        dict(
            seed=0,
            batch=128,
            classify=dict(solver="euler", steps=1, draws=8, prior="natural"),  # or "uniform"
            # The symmetric family has solver, steps and guidance, the coupling family the temperature.
            generate=dict(solver="euler", steps=25, guidance=1.0, temperature=1.0, per_class=64),
        )
    )
    return config.lock()


def cpu(config: ConfigDict, variant: str = "cpu") -> ConfigDict:
    """The same run sized for two cores, if the variant is ``cpu``; unchanged if it is empty.

    A network of 1.1 M parameters, without resizing; the simplex code; 0.3 of each batch at the
    reading time.

    Raises:
      ValueError: any other variant.
    """
    if variant not in ("", "cpu"):
        raise ValueError(
            f"unknown variant {variant!r} of this configuration: choose 'cpu', or none"
        )
    if variant == "cpu":
        config.model.net.update(
            dict(width=32, multipliers=(1, 2, 2), blocks=1, attention=(4,), head_channels=32)
        )
        config.model.resize = 0
        config.model.code.scheme = "simplex"
        config.model.time.reading_share = 0.3
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


def coupling(config: ConfigDict, variant: str = "") -> ConfigDict:
    """MAGIC-Flow (arXiv 2510.22070) at its published size: 24 steps of two passes, layout and widths.

    With ``cpu``: 36 steps on halves of the channels, Glow's conditioners of width 64, learned priors.

    Raises:
      ValueError: any other variant.
    """
    if variant not in ("", "cpu"):
        raise ValueError(
            f"unknown variant {variant!r} of this configuration: choose 'cpu', or none"
        )
    config.model.family = "coupling"
    config.train.update(dict(epochs=300.0, batch=16, learning_rate=1e-3, warmup=0.02, ema=0.99))
    config.train.update(dict(shift=2, eval_every=200))
    config.sample.classify.draws = 1
    config.sample.batch = 16
    if variant == "":
        config.model.coupling.update(
            dict(layout=PUBLISHED, conditioner="classification", dense=True)
        )
        return config
    layout = "squeeze half:12 split squeeze half:24"
    config.model.coupling.update(
        dict(layout=layout, passes=1, conditioner="convolutional", split_prior="learned")
    )
    config.model.coupling.widths = (64, 64, 64)
    config.train.update(dict(epochs=0.0, steps=2000, batch=32, shift=1, log_every=10))
    config.sample.batch = 64
    return config
