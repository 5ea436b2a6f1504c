"""Fine-tune an autoencoder on images of your own, so that it loses less of them.

python -m experiments.finetune_vae --autoencoder=autoencoders/taef2 --side=224 \\
    --config=configs/pixel_retina.py:cpu --config.data.root=DIR --output=autoencoders/taef2-retina

The run (checkpoints, metrics, reconstructions.png) is kept beside the output, in OUTPUT-run. The same
command goes on from there if it was stopped; the output itself is written at the end.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msflow_jax.commands.common import parser, path, run
from msflow_jax.commands.numbers import fraction, whole
from msflow_jax.settings import SEED

_SHOWN = 8  # validation images, drawn from all, in reconstructions.png
_FEATURE_STEPS = 400
_PROBED = 32  # validation images that lesions are planted into
_SETTINGS = "settings.json"


def finetune(
    base: Path,
    config,
    output: Path,
    *,
    side: int | None = None,
    steps: int = 2000,
    batch: int = 8,
    learning_rate: float = 1e-4,
    seed: int = 0,
    perceptual: float = 0.1,
    kl: float = 1e-6,
    freeze_encoder: bool = False,
) -> None:
    """Train from the parameters of ``base`` and write the best moving average to ``output``.

    Args:
        base: folder of an autoencoder.
        config: configuration of which the ``data`` part is used.
        output: folder to make; may exist if it is empty.
        side: rows and columns that images are resized to, None for those of the data.
        steps: number of training steps.
        batch: images per step.
        learning_rate: peak of the learning rate.
        seed: seed of the order of the images, the noise, and the feature network.
        perceptual: weight of the distance of feature maps.
        kl: weight of the posterior's divergence from N(0, 1); without effect on a tiny autoencoder.
        freeze_encoder: whether the decoder alone is trained.

    Raises:
        FileNotFoundError: no autoencoder or no data.
        ValueError: an output that is not empty, numbers that do not fit, a run with other settings.
        OSError: an output that cannot be written.
    """
    from msflow_jax import data
    from msflow_jax.latent import autoencoder as autoencoders
    from msflow_jax.latent.finetuning import FineTuning, training_config
    from msflow_jax.latent.lesions import make_probe
    from msflow_jax.latent.reconstruction import make_measure
    from msflow_jax.storage.atomic import check_new, check_writable
    from msflow_jax.storage.lock import locked
    from msflow_jax.training import read_params, run_stages

    check_new(output)
    folder = output.with_name(f"{output.name}-run")
    check_writable(folder)
    numbers: dict[str, Any] = dict(steps=steps, batch=batch, learning_rate=learning_rate, seed=seed)
    training = training_config(**numbers)
    (autoencoder, pretrained), splits = autoencoders.load(base), data.load(config.data)
    _check_images(splits.info, autoencoder.net.channels)
    weights: dict[str, Any] = {"perceptual": perceptual, "kl": kl, "freeze_encoder": freeze_encoder}
    model = FineTuning(autoencoder, pretrained, side or splits.info.side, **weights)
    settings = {
        **numbers, **weights, "side": model.side, **_facts(splits.info),
        "pretrained": autoencoders.fingerprint(autoencoder, pretrained),
    }  # fmt: skip
    print(_describe(splits, model.side))
    with locked(folder):
        _keep_settings(folder, {**settings, "identity": dict(splits.info.identity)})
        measure = make_measure(autoencoder, model.side, batch)
        probe = make_probe(autoencoder, model.side, data.some(splits.val, _PROBED).images, batch)
        before = measure(pretrained, splits.val.images, "reconstructing") | probe(pretrained)
        print(f"before: {_in_words(before)}")
        stage = _stage(model, splits, config.data, training, measure)
        run_stages([stage], folder, params=pretrained)
        step, params = read_params(folder, training.select, params=pretrained)
        after = measure(params, splits.val.images) | probe(params)
        origin = {"settings": settings, "step": step, "before": before, "after": after}
        origin["base"] = autoencoders.origin(base)
        _draw(folder / "reconstructions.png", model, params, data.some(splits.val, _SHOWN).images)
        autoencoders.save(output, autoencoder, params, origin)
    print(f"after:  {_in_words(after)}, at step {step} of {steps}")
    print(f"{output}; the run and reconstructions.png (original, before, after): {folder}")
    if after["psnr"] <= before["psnr"]:
        print("that is no better than before: try more steps, or a lower --learning-rate")


def _describe(splits: Any, side: int) -> str:
    """One line on the data."""
    info = splits.info
    return (
        f"{info.name}: {len(splits.train)} training, {len(splits.val)} validation images of "
        f"{info.side} x {info.side} x {info.channels}, at {side} x {side}"
    )


def _facts(info: Any) -> dict[str, Any]:
    """What the data of a run must have in common with those it goes on with."""
    return {
        "data": info.name, "md5": info.md5, "data_side": info.side, "channels": info.channels,
        "value_range": list(info.value_range), "fit": info.fit,
        **{"intensities": {}, "volumes": {}, **info.files()},
    }  # fmt: skip


def _stage(model: Any, splits: Any, data: Any, training: Any, measure: Any) -> Any:
    """The one stage of a fine-tuning, which starts from the tree that it is given."""
    from msflow_jax.latent.finetuning import train_classifier
    from msflow_jax.latent.reconstruction import make_validation
    from msflow_jax.training import Stage
    from msflow_jax.training.source import source_of

    if model.perceptual:
        classifier = train_classifier(
            splits.train, len(splits.info.classes), model.side,
            seed=training.seed, steps=_FEATURE_STEPS,
        )  # fmt: skip
        model = dataclasses.replace(model, classifier=classifier)
    source = source_of(splits.train, data.loader, data.workers, splits.info.flips)
    return Stage(
        "", model.loss, source, training,
        start=lambda tree: tree, trains=model.trains,
        validate=make_validation(measure, splits.val.images),
    )  # fmt: skip


def _keep_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Note the settings of a run; one that holds checkpoints goes on only with the same."""
    from msflow_jax.storage.jsons import read_object, write_json
    from msflow_jax.workdir import has_checkpoint, refuse_difference

    path = folder / _SETTINGS
    if has_checkpoint(folder):
        before = {"identity": settings["identity"], "value_range": [], "fit": "crop"}
        before |= {"intensities": {}, "volumes": {}}
        old = {**before, **read_object(path, f"remove {folder}")}  # a run of before says less
        refuse_difference(folder, old, dict(settings), flag="--output")
    write_json(path, dict(settings))


def _check_images(info: Any, network: int) -> None:
    info.require_image()
    if info.dims != 2:
        raise ValueError(
            f"{info.source} has volumes of {' x '.join(map(str, info.sides))}, and autoencoders are of "
            "images: read slices instead (--config.data.dims=2)"
        )
    if info.channels not in (1, network):
        raise ValueError(
            f"the images have {info.channels} channels, the autoencoder takes {network}: add "
            f"--config.data.channels={network}"
        )


def _in_words(quality: Mapping[str, Any]) -> str:
    from msflow_jax.latent.lesions import in_words

    lesions = quality.get("lesions", {})
    return (
        f"PSNR {quality['psnr']:.2f} dB, SSIM {quality['ssim']:.4f}, standard deviation of the latents "
        f"{quality['latent_std']:.3f}" + (f"; {in_words(lesions)}" if lesions else "")
    )


def _draw(path: Path, model: Any, params: Any, images: Any) -> None:
    """PNG of three rows: the images, and what the autoencoder made of them before and after."""
    import numpy as np

    from msflow_jax.latent.reconstruction import make_reconstruction, resized
    from msflow_jax.reports.figures import as_rgb, encode_png
    from msflow_jax.storage.atomic import write_atomically

    reconstruct = make_reconstruction(model.autoencoder, model.side, len(images))
    rows = [resized(images, model.side)]
    rows += [reconstruct(p, images) for p in (model.pretrained, params)]
    # Pixel by pixel: what an autoencoder loses is not seen in a reduced picture.
    sheet = np.concatenate([np.concatenate(as_rgb(row), axis=1) for row in rows])
    write_atomically(path, encode_png(sheet))


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument(
        "--autoencoder", required=True, type=path, help="folder of the one to start from"
    )
    flags.add_argument(
        "--config", required=True, metavar="FILE[:ARGUMENT]",
        help="a file under configs/, for its data; --config.data.a=v changes a value",
    )  # fmt: skip
    flags.add_argument("--output", required=True, type=path, help="folder to make")
    flags.add_argument("--side", **whole(), help="to resize images to (default: no)")
    flags.add_argument("--steps", **whole(), default=2000, help="of training (2000)")
    flags.add_argument("--batch", **whole(), default=8, help="images per step (8)")
    flags.add_argument(
        "--learning-rate", **fraction("(0, inf)"), default=1e-4, help="the highest (1e-4)"
    )
    flags.add_argument("--seed", **whole(SEED), default=0)
    flags.add_argument(
        "--perceptual",
        **fraction("[0, inf)"),
        default=0.1,
        help="weight of the feature maps' distance (0.1)",
    )
    flags.add_argument(
        "--kl", **fraction("[0, inf)"), default=1e-6,
        help="weight of the posterior's KL divergence from N(0, 1), where there is one (1e-6)",
    )  # fmt: skip
    flags.add_argument(
        "--freeze-encoder", action="store_true",
        help="train the decoder alone: flows trained on the latents stay valid",
    )  # fmt: skip
    o, rest = flags.parse_known_args(arguments)
    more = "; of the configuration only config.data is used"
    flags.check_settings(rest, "--config.data.", more)

    from msflow_jax.config import load_config
    from msflow_jax.parallel.startup import use_cache, use_cores

    config = load_config([f"--config={o.config}", *rest])
    use_cache()
    use_cores(o.batch)
    finetune(
        o.autoencoder, config, o.output, side=o.side, steps=o.steps, batch=o.batch,
        learning_rate=o.learning_rate, seed=o.seed, perceptual=o.perceptual, kl=o.kl,
        freeze_encoder=o.freeze_encoder,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
