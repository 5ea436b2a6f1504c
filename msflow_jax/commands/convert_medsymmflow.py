"""Turn official MedSymmFlow weights into a workdir that ``classify`` and ``generate`` accept.

    msflow convert-medsymmflow derma.pt runs/derma --data dermamnist
    msflow convert-medsymmflow own.pt runs/own --classes ill,well --image-channels 1 --side 64
    msflow convert-medsymmflow latent.pt runs/l --data dermamnist --autoencoder autoencoders/sd

The weights are the state dict of the UNet of caetas/MedSymmFlow (arXiv 2507.19098), in pixel space, or
with an autoencoder (of msflow convert-vae) in its latent space. The file does not say --head-channels,
--beta and --code: give those of its training, whose own defaults are 32, 15 and grey. Networks trained
with use_new_attention_order=True are not supported: their file looks the same, their outputs are wrong.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msflow_jax.commands.common import add_key, parser, path, run
from msflow_jax.commands.numbers import fraction, whole

SCHEME, BETA, HEAD_CHANNELS = "palette", 4.0, 64  # of the published models


def medmnist_info(name: str, side: int) -> Any:
    """Facts of a MedMNIST set at 28 or 224 pixels.

    Raises:
        ValueError: an unknown set, or one with several labels an image.
    """
    from msflow_jax.data import Info
    from msflow_jax.data.base import TASKS
    from msflow_jax.data.sources.medmnist.table import FLIPS, TABLE

    known = {k: entry for k, entry in TABLE.items() if entry.task in TASKS and entry.dims == 2}
    if name not in known:
        raise ValueError(f"unknown --data {name!r}: choose one of {', '.join(known)}")
    entry = known[name]
    return Info(
        name=name,
        classes=entry.classes,
        channels=entry.channels,
        side=side,
        task=entry.task,
        licence=entry.licence,
        md5=entry.md5[entry.stored.index(side)],
        source="the published set, as the converted weights were trained on",
        flips=FLIPS.get(name, ()),
        fit="pad",
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
            "--image-channels (1 or 3) and --side go with --classes; or name a MedMNIST set by --data"
        )
    source = "unknown: what the converted weights were trained on"
    return facts(
        classes,
        (side, side, channels),
        name="folder",
        licence="unknown",
        md5="unknown",
        source=source,
        fit="pad",
    )


def configure(
    info: Any, network: dict[str, Any], scheme: str, beta: float, resize: int, autoencoder: str
) -> Any:
    """The configuration of a published model with this network."""
    from msflow_jax.config import default_config

    config = default_config("symmetric")
    config.data.name, config.data.side, config.data.fit = info.name, info.side, info.fit
    config.model.code.scheme, config.model.code.beta = scheme, beta
    config.model.net.update({k: v for k, v in network.items() if k != "channels"})
    config.model.resize = resize
    if autoencoder:
        config.model.latent.autoencoder, config.model.latent.readout = autoencoder, "decode"
        config.sample.batch = 32
    return config


def assumptions(scheme: str | None, beta: float | None, head_channels: int | None) -> str:
    """A line about the numbers that no file says and nobody gave; empty if there are none."""
    table = (
        ("head channels", head_channels, HEAD_CHANNELS, "32 (--head-channels)"),
        ("beta", beta, BETA, "15 (--beta)"),
        ("code", scheme, SCHEME, "grey (--code)"),
    )
    left = [(name, value, own) for name, given, value, own in table if given is None]
    if not left:
        return ""
    words = ", ".join(f"{name} {value}" for name, value, _ in left)
    own = ", ".join(own for *_, own in left)
    return f"not in the file: assumed {words}; the official code's own defaults: {own}"


def convert(
    source: Path,
    workdir: Path,
    info: Any,
    *,
    scheme: str | None = None,
    beta: float | None = None,
    head_channels: int | None = None,
    resize: int | None = None,
    autoencoder: Path | None = None,
    key: str = "",
) -> None:
    """Write the workdir; nothing is left behind on an error.

    Args:
        source: file of the state dict, index of its shards, or folder of either.
        workdir: folder to make; may exist if it is empty.
        info: facts of the data the model was trained on.
        scheme: class code, ``palette`` (MedSymmFlow) or ``grey`` (SymmFlow); ``encoded`` (LatMSF). What
            is None here and below is assumed as published, with a line: no file says it.
        beta: strength of the label's dequantisation noise, 4 if None.
        head_channels: channels an attention head, 64 if None.
        resize: side inside the network, 0 for the images' own; None for what the authors' code does,
            32 for 28 pixels and 256 for 224.
        autoencoder: folder of a converted autoencoder, for a model of its latents.
        key: where the weights lie in the file, if it holds several.

    Raises:
        FileNotFoundError: no weights file, or no autoencoder.
        ValueError: weights that do not fit, or a workdir that is not empty.
        FloatingPointError: the network's velocity is not finite.
    """
    from msflow_jax.convert import convert_unet, read_state_dict
    from msflow_jax.convert.matching import find
    from msflow_jax.convert.medsymmflow import STEMS, check_channels, check_velocity
    from msflow_jax.convert.shards import listed, weight_files
    from msflow_jax.convert.state_dicts import of_file
    from msflow_jax.nets import count_parameters
    from msflow_jax.storage.archives import file_sha256
    from msflow_jax.storage.atomic import check_new
    from msflow_jax.symmetric.family import FAMILY
    from msflow_jax.symmetric.parts import prepare

    check_new(workdir)
    assumed = assumptions(scheme, beta, head_channels)
    scheme, beta = scheme or SCHEME, BETA if beta is None else beta
    heads = HEAD_CHANNELS if head_channels is None else head_channels
    tensors = read_state_dict(source)
    with of_file(source):
        network, params = convert_unet(tensors, head_channels=heads, key=key)
    if resize is None:
        resize = {28: 32, 224: 256}.get(info.side, 0)
    folder = str(autoencoder.absolute()) if autoencoder else ""
    config = configure(info, network, scheme, beta, resize, folder)
    FAMILY.check(config)
    parts = prepare(config.model, info)
    flow = FAMILY.build(config, info, parts)
    check_channels(flow, network["channels"])
    check_velocity(flow, params)
    files = {file.name: file_sha256(file) for file in weight_files(source)}
    sha256 = next(iter(files.values()))
    origin: dict[str, Any] = {"file": source.name, "sha256": sha256}
    origin |= {"files": files} if len(files) > 1 else {}
    write(workdir, config, info, params, {"converted_from": origin}, parts)
    print(f"{source.name} (sha256 {sha256}): UNet of {count_parameters(params):,} parameters")
    print("  ".join(f"{name} {value}" for name, value in network.items()))
    if assumed:
        print(assumed)
    if unused := find(tensors, STEMS, "", key).unused:
        print(f"not used: {listed(unused)}")
    print(
        f"{info.name}: {len(info.classes)} classes, {info.side} x {info.side} x {info.channels}, "
        f"{scheme} code, side {flow.space[0]} inside the network: {workdir}"
    )


def write(
    workdir: Path, config: Any, info: Any, params: Any, extra: dict[str, Any], parts: Any
) -> None:
    """Write the workdir atomically: the finished folder takes its name in one step."""
    from msflow_jax import workdir as workdirs
    from msflow_jax.storage.atomic import new_folder
    from msflow_jax.storage.checkpoints import Checkpoints

    with new_folder(workdir) as folder:
        workdirs.create(folder, config, info, extra)
        parts.save(folder)  # before the checkpoint, which knows these files
        made = workdirs.made_with(folder)
        with Checkpoints(folder / "checkpoints", made=made) as checkpoints:
            checkpoints.save_params(params)


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument(
        "source", type=path, metavar="IN", help="state dict (.safetensors, .pt, index, folder)"
    )
    flags.add_argument("workdir", type=path, metavar="OUT", help="workdir to make")
    data = flags.add_mutually_exclusive_group(required=True)
    data.add_argument(
        "--data", help="MedMNIST set that the model was trained on (28 pixels; latents: 224)"
    )
    data.add_argument("--classes", help="class names in label order, joined by commas")
    flags.add_argument("--image-channels", type=int, choices=(1, 3), help="with --classes")
    flags.add_argument("--side", **whole(), help="with --classes: side of the images")
    flags.add_argument("--code", choices=("palette", "grey"), help="palette if not given")
    flags.add_argument("--beta", **fraction("(0, inf)"), help="of the label's noise (default: 4)")
    flags.add_argument(
        "--head-channels", **whole(), help="default: 64, as in every published model"
    )
    flags.add_argument(
        "--resize", **whole("[0, inf)"),
        help="side inside the network or of the encoded images (default: 32 of 28, 256 of 224)",
    )  # fmt: skip
    flags.add_argument(
        "--autoencoder", type=path, help="of a latent model: folder of msflow convert-vae"
    )
    add_key(flags)
    o = flags.parse_args(arguments)
    if o.data and (o.image_channels or o.side):
        raise ValueError("--image-channels and --side go with --classes; --data knows them")
    if o.autoencoder and o.code:
        raise ValueError("--code goes without --autoencoder: there the palette is encoded")
    info = (
        medmnist_info(o.data, 224 if o.autoencoder else 28)
        if o.data
        else own_info(o.classes.split(","), o.image_channels or 0, o.side or 0)
    )
    convert(
        o.source, o.workdir, info,
        scheme="encoded" if o.autoencoder else o.code, beta=o.beta,
        head_channels=o.head_channels, resize=o.resize, autoencoder=o.autoencoder, key=o.key,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
