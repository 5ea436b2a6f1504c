"""Turn official MedSymmFlow weights into a workdir that `classify` and `generate` accept.

    python tools/convert_medsymmflow.py derma.pt runs/derma --data dermamnist
    python tools/convert_medsymmflow.py own.pt runs/own --classes ill,well --image-channels 1 --side 64

The weights are the state dict of the pixel-space UNet of caetas/MedSymmFlow (arXiv 2507.19098).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.common import parser, run


def medmnist_info(name: str) -> Any:
    """Facts of a MedMNIST set at 28 pixels.

    Raises:
      ValueError: an unknown set, or one with several labels an image.
    """
    from msflow_jax.data import Info
    from msflow_jax.data.base import TASKS
    from msflow_jax.data.medmnist import FLIPS
    from msflow_jax.data.medmnist_table import SIDES, TABLE

    known = {k: entry for k, entry in TABLE.items() if entry.task in TASKS}
    if name not in known:
        raise ValueError(f"unknown --data {name!r}: choose one of {', '.join(known)}")
    entry = known[name]
    return Info(
        name=name,
        classes=entry.classes,
        channels=entry.channels,
        side=SIDES[0],
        task=entry.task,
        licence=entry.licence,
        md5=entry.md5[0],
        source="the published set, as the converted weights were trained on",
        flips=FLIPS.get(name, ()),
    )


def own_info(classes: Sequence[str], channels: int, side: int) -> Any:
    """Facts of data that are no published set.

    Raises:
      ValueError: fewer than two classes, a name twice, or impossible numbers.
    """
    from msflow_jax.data.base import own_info as facts

    if not all(classes) or len(set(classes)) < max(2, len(classes)):
        raise ValueError(f"--classes needs two or more different names, got {','.join(classes)!r}")
    if channels not in (1, 3) or side < 1:
        raise ValueError(
            f"--image-channels is 1 or 3 and --side at least 1, got {channels} and {side}; "
            "or name a MedMNIST set with --data"
        )
    source = "unknown: what the converted weights were trained on"
    return facts(
        classes,
        (side, side, channels),
        name="folder",
        licence="unknown",
        md5="unknown",
        source=source,
    )


def configure(info: Any, network: dict[str, Any], scheme: str, beta: float, resize: int) -> Any:
    """The configuration of a published model with this network.

    Raises:
      ValueError: the network's channels are not those of an image and its label picture.
    """
    from msflow_jax.defaults import default_config
    from msflow_jax.symmetric import Code

    code = Code(scheme, len(info.classes), beta)
    if network["channels"] != info.channels + code.channels:
        raise ValueError(
            f"the network has {network['channels']} channels, but an image of {info.channels} and a "
            f"{scheme} label picture of {code.channels} make {info.channels + code.channels}: check "
            "--image-channels (or --data) and --code"
        )
    config = default_config()
    config.data.name = info.name
    config.model.code.scheme, config.model.code.beta = scheme, beta
    config.model.net.update({k: v for k, v in network.items() if k != "channels"})
    config.model.resize = resize
    return config


def check_velocity(model: Any, params: Any) -> None:
    """Evaluate the network once on noise.

    Raises:
      FloatingPointError: the velocity is not finite.
    """
    import jax
    import numpy as np

    x = jax.random.normal(
        jax.random.key(0), (1, model.grid, model.grid, model.image_channels + model.code.channels)
    )
    streams = {"image": x[..., : model.image_channels], "label": x[..., model.image_channels :]}
    velocity = jax.jit(model.field(params))(1.0, streams)
    if not all(np.isfinite(v).all() for v in velocity.values()):
        raise FloatingPointError(
            "the converted network's velocity is not finite: fetch the file again"
        )


def convert(
    source: Path,
    workdir: Path,
    info: Any,
    *,
    scheme: str = "palette",
    beta: float = 4.0,
    head_channels: int = 64,
    resize: int | None = None,
) -> None:
    """Write the workdir; nothing is left behind on an error.

    Args:
      source: the state dict, ``.safetensors`` or a torch file.
      workdir: folder to make; may exist if it is empty.
      info: facts of the data the model was trained on.
      scheme: class code, ``palette`` (MedSymmFlow) or ``grey`` (SymmFlow).
      beta: its strength.
      head_channels: channels an attention head; the weights do not show it.
      resize: side inside the network, 0 for the images' own; None for what the authors' code does,
        32 for 28 pixels.

    Raises:
      FileNotFoundError: no weights file.
      ValueError: weights that do not fit, or a workdir that is not empty.
      FloatingPointError: the network's velocity is not finite.
    """
    from msflow_jax.atomic import check_new
    from msflow_jax.build import build
    from msflow_jax.convert import convert_unet, read_state_dict
    from msflow_jax.data.archives import file_sha256

    check_new(workdir)
    network, params = convert_unet(read_state_dict(source), head_channels=head_channels)
    if resize is None:
        resize = 32 if info.side == 28 else 0
    config = configure(info, network, scheme, beta, resize)
    model = build(config.model, info)
    check_velocity(model, params)
    sha256 = file_sha256(source)
    origin = {"file": source.name, "sha256": sha256}
    write(workdir, config, info, params, {"converted_from": origin})
    print(f"{source.name} (sha256 {sha256}): UNet of {count(params):,} parameters")
    print("  ".join(f"{key} {value}" for key, value in network.items()))
    print(
        f"{info.name}: {len(info.classes)} classes, {info.side} x {info.side} x {info.channels}, "
        f"{scheme} code, side {model.grid} inside the network: {workdir}"
    )


def write(workdir: Path, config: Any, info: Any, params: Any, extra: dict[str, Any]) -> None:
    """Write the workdir whole or not at all: the finished folder takes its name in one step."""
    from msflow_jax import workdir as workdirs
    from msflow_jax.atomic import new_folder
    from msflow_jax.training.checkpoints import Checkpoints

    with new_folder(workdir) as folder:
        workdirs.create(folder, config, info, extra)
        with Checkpoints(folder / "checkpoints") as checkpoints:
            checkpoints.save_params(params)


def count(params: Any) -> int:
    """Number of parameters."""
    import jax

    return sum(leaf.size for leaf in jax.tree.leaves(params))


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.formatter_class = argparse.RawDescriptionHelpFormatter
    flags.add_argument("source", type=Path, metavar="IN", help="state dict: .safetensors, .pt, ...")
    flags.add_argument("workdir", type=Path, metavar="OUT", help="workdir to make")
    data = flags.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", help="MedMNIST set that the model was trained on, at 28 pixels")
    data.add_argument("--classes", help="class names in label order, joined by commas")
    flags.add_argument("--image-channels", type=int, default=0, help="with --classes: 1 or 3")
    flags.add_argument("--side", type=int, default=0, help="with --classes: side of the images")
    flags.add_argument("--code", default="palette", choices=("palette", "grey"))
    flags.add_argument("--beta", type=float, default=4.0)
    flags.add_argument("--head-channels", type=int, default=64, help="64 in every published model")
    flags.add_argument(
        "--resize", type=int, help="side inside the network, 0 for none (default: 32 for 28 pixels)"
    )
    o = flags.parse_args(arguments)
    if o.data and (o.image_channels or o.side):
        raise ValueError("--image-channels and --side go with --classes; --data knows them")
    info = (
        medmnist_info(o.data)
        if o.data
        else own_info(o.classes.split(","), o.image_channels, o.side)
    )
    convert(
        o.source, o.workdir, info,
        scheme=o.code, beta=o.beta, head_channels=o.head_channels, resize=o.resize,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
