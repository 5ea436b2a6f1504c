"""Pack a folder of class folders, or a CSV manifest, into ArrayRecord shards with checksums.

    msflow pack images/ packed/ --side 224
    msflow pack list.csv packed/ --licence "CC BY 4.0" --workers=16
    msflow pack --verify packed/

Then train on them while they are read: --config.data.name=arrayrecord --config.data.root=packed
--config.data.loader=grain. An interrupted call goes on when repeated.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from msflow_jax.commands.common import add_slices, parser, path, run
from msflow_jax.commands.numbers import fraction, whole
from msflow_jax.settings import SEED


def pack(
    source: Path, folder: Path, cut_seed: int, duplicates: str, outside: bool, engine, **settings
) -> Path:
    """Packs the images of a folder or a CSV; see ``msflow_jax.data.sources.packs.packing.pack``."""
    from msflow_jax import data
    from msflow_jax.data.slices import Slices
    from msflow_jax.data.sources.listings.folders import list_folder
    from msflow_jax.data.sources.listings.manifest import list_manifest
    from msflow_jax.data.sources.packs.packing import Settings
    from msflow_jax.data.sources.packs.packing import pack as write
    from msflow_jax.progress import bar

    config = data.default_config("folder" if source.is_dir() else "manifest")
    config.update({"root": str(source), "seed": cut_seed, "outside": outside})
    slices = Slices(**settings.pop("slices"))
    config.update({"dims": settings["dims"], "spacing": settings["spacing"]})
    config.slices.update(dataclasses.asdict(slices))
    listing = (list_folder if source.is_dir() else list_manifest)(config)
    with bar("packing", len(listing.rows)) as advance:
        options = Settings(**settings, slices=slices)
        refuse = duplicates == "refuse"
        return write(listing, folder, options, advance, refuse=refuse, engine=engine)


def main(arguments: Sequence[str]) -> None:
    """The command."""
    from msflow_jax.data.intensity import WINDOW
    from msflow_jax.storage.jobs import ENGINES, Engine

    flags = parser(__doc__ or "")
    flags.add_argument("source", type=path, help="folder or CSV (with --verify: the packed folder)")
    flags.add_argument("folder", type=path, nargs="?", help="where the shards go")
    flags.add_argument("--verify", action="store_true", help="compare every file with its SHA-256")
    flags.add_argument(
        "--side", **whole("[0, inf)"), default=0, help="rows and columns; 0: as stored"
    )
    flags.add_argument(
        "--fit", default="pad", choices=("pad", "crop", "stretch"),
        help="of images that are not square: filled up, cut to the middle, or distorted",
    )  # fmt: skip
    flags.add_argument("--channels", type=int, default=0, choices=(0, 1, 3), help="0: as stored")
    flags.add_argument("--shard-images", **whole(), default=4096, help="images per shard")
    flags.add_argument(
        "--seed", **whole(SEED), default=0, help="of the cut into splits and the order"
    )
    flags.add_argument("--name", default="arrayrecord", help="what the data set is called")
    flags.add_argument("--licence", default="unknown: the user's own files")
    flags.add_argument(
        "--duplicates", default="refuse", choices=("refuse", "keep"),
        help="what of equal pictures in two splits",
    )  # fmt: skip
    flags.add_argument(
        "--outside", action="store_true", help="take paths of a CSV that leave its folder"
    )
    flags.add_argument(
        "--dims", type=int, default=2, choices=(2, 3), help="3: volumes; 2: pictures and slices"
    )
    flags.add_argument(
        "--spacing", **fraction("[0, inf)"), default=0.0, help="mm of voxels; 0: as stored"
    )
    add_slices(flags)
    flags.add_argument(
        "--window", **fraction("(-inf, inf)"), nargs=2, default=WINDOW, metavar=("LOW", "HIGH"),
        help="Hounsfield units of CT that become black and white",
    )  # fmt: skip
    flags.add_argument("--workers", **whole(), default=1, help="processes; the pack is the same")
    flags.add_argument(
        "--engine", default="processes", choices=ENGINES,
        help="beam: Apache Beam, for many machines that see one disk",
    )  # fmt: skip
    flags.add_argument(
        "--engine-options", default="", help="of Beam: '--runner=FlinkRunner --flink_master=...'"
    )
    o = flags.parse_args(arguments)
    if o.verify:
        from msflow_jax.data.sources.packs.records import verify
        from msflow_jax.progress import track

        count = verify(o.source, lambda files: track(files, "Verifying"))
        print(f"{o.source}: {count} files are what the manifest says")
        return
    if o.folder is None:
        flags.error("say where the shards go: msflow pack SOURCE FOLDER")
    manifest = pack(
        o.source, o.folder, o.seed, o.duplicates, o.outside,
        Engine(o.engine, o.workers, o.engine_options), side=o.side, channels=o.channels,
        seed=o.seed, shard_images=o.shard_images, name=o.name, licence=o.licence,
        fit=o.fit, dims=o.dims, spacing=o.spacing, window=tuple(o.window),
        slices={"axis": o.axis, "first": o.first, "last": o.last, "spacing": o.gap},
    )  # fmt: skip
    print(f"packed: {manifest}")
    print(
        f"train on it: --config.data.name=arrayrecord --config.data.root={o.folder} "
        "--config.data.loader=grain"
    )


if __name__ == "__main__":
    run(main)
