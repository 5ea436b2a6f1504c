"""What autoencoders keep of small lesions, of the validation images of a configuration.

    python benchmarks/lesions.py --config=configs/latent_phantom.py \\
        --autoencoders autoencoders/taef2 patches:16 patches:32

``patches:N``: N principal components of 8 x 8 patches, fitted to training images. Discs are planted by
``msflow_jax.latent.lesions``: ``contrast`` is the share that is kept, and AUROC says how well a disc
stands out from the ring around it, before and after.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from common import keep

DIAMETERS = (1, 2, 3, 5, 9)


def parse() -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="whose data and side are taken")
    parser.add_argument("--overrides", nargs="*", default=[], help="of it, as data.root=FOLDER")
    parser.add_argument("--autoencoders", nargs="+", required=True, help="folders, or patches:N")
    parser.add_argument("--images", type=int, default=48, help="validation images that get a disc")
    parser.add_argument("--output", help="JSON file for the figures")
    return parser.parse_args()


def main() -> None:
    """The command."""
    o = parse()

    from msflow_jax import data
    from msflow_jax.config import load_config
    from msflow_jax.latent import autoencoder, kept
    from msflow_jax.latent.lesions import lesions_kept
    from msflow_jax.latent.reconstruction import make_measure, make_reconstruction, resized

    config = load_config([f"--config={o.config}", *(f"--config.{one}" for one in o.overrides)])
    splits = data.load(config.data)
    side, val = config.model.resize or splits.info.side, splits.val.images
    images = resized(val[np.linspace(0, len(val) - 1, min(len(val), o.images)).astype(int)], side)
    record: dict[str, Any] = {"config": o.config, "side": side, "images": len(images), "found": {}}
    for name in o.autoencoders:
        kind, _, channels = name.partition(":")
        if kind == kept.PATCHES:
            one = kept.fit(data.some(splits.train, kept.FITTED).images, side, 8, int(channels))
            net, params = one.autoencoder, one.weights
        else:
            net, params = autoencoder.load(Path(name))
        found = make_measure(net, side, 8)(params, images)
        lesions = lesions_kept(make_reconstruction(net, side, 8), params, images, DIAMETERS)
        record["found"][Path(name).name] = {**found, "lesions": lesions}
        print(f"{name}: PSNR {found['psnr']:.1f} dB, SSIM {found['ssim']:.3f}")
        for diameter, row in lesions.items():
            print(f"  {diameter} pixels: {', '.join(f'{k} {v:.2f}' for k, v in row.items())}")
    keep(record, o.output)


if __name__ == "__main__":
    main()
