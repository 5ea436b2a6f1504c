"""Turn a PyTorch autoencoder into a Flax one, for flows in its latent space.

    msflow convert-vae sd-vae-ft-mse/diffusion_pytorch_model.safetensors autoencoders/sd
    msflow convert-vae stabilityai/sd-vae-ft-mse autoencoders/sd
    msflow convert-vae taef2_encoder.pth autoencoders/taef2 --decoder taef2_decoder.pth

Stable Diffusion's ``AutoencoderKL`` in the naming of diffusers (new or old) or CompVis, also within a
whole checkpoint, and the tiny ones of the TAESD family. IN may be the index of shards or a folder of
diffusers. A config.json beside the file is read. Where a training kept an average of the weights beside
them, --key chooses: model_ema in CompVis' naming, or . for the weights themselves.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msflow_jax.commands.common import add_key, named, parser, path, run
from msflow_jax.commands.numbers import fraction, whole

SIDE = 128  # of the test image


def locate(name: str) -> Path:
    """The file of that name, or the weights of a repository on the Hugging Face hub, fetched.

    Raises:
        ImportError: a repository is named and ``huggingface_hub`` is not installed.
        OSError: the file could not be fetched.
    """
    from msflow_jax.convert.shards import INDEX, SUFFIXES
    from msflow_jax.storage.places import expand

    path = expand(named(name))
    known = name.lower().endswith((*SUFFIXES, INDEX))
    if path.exists() or known or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return path
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise ImportError(
            f"there is no file {name}; to fetch it from the hub: pip install 'msflow_jax[hub]'"
        ) from error
    try:
        hf_hub_download(name, "config.json")
        return Path(hf_hub_download(name, "diffusion_pytorch_model.safetensors"))
    except Exception as error:  # the hub's own kinds, and the network's
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise OSError(
            f"{name} is no file here and could not be fetched from the hub ({reason}): check the name "
            "and the network, or give a file"
        ) from error


def read(source: Path, decoder: Path | None, key: str) -> dict[str, Any]:
    """Tensors by name, of one file or of the two halves of a tiny autoencoder."""
    from msflow_jax.convert import read_state_dict
    from msflow_jax.convert.matching import find
    from msflow_jax.convert.state_dicts import of_file
    from msflow_jax.convert.vae import DECODER, ENCODER

    if decoder is None:
        return read_state_dict(source)
    out: dict[str, Any] = {}
    for side, file, stems in (("encoder", source, ENCODER), ("decoder", decoder, DECODER)):
        with of_file(file):
            half = find(read_state_dict(file), stems, f"the {side} of a tiny autoencoder", key)
        out |= {f"{side}.{name}": array for name, array in half.state.items()}
    return out


def picture(channels: int) -> Any:
    """A smooth head-like picture ``[1, SIDE, SIDE, channels]`` in [-1, 1]."""
    import numpy as np

    rows, columns = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    head = np.clip(8 * (0.8 - np.hypot(rows, 1.2 * columns)), 0, 1)
    inside = 0.5 + 0.3 * np.cos(9 * rows) * np.sin(7 * columns)
    grey = 2 * head * inside - 1
    return np.repeat(grey[None, ..., None], channels, axis=-1).astype(np.float32)


def psnr(autoencoder: Any, params: Any) -> float:
    """Peak signal-to-noise ratio in dB of the test picture after encoding and decoding.

    Raises:
        FloatingPointError: the result is not finite.
    """
    import jax
    import numpy as np

    image = picture(autoencoder.net.channels)
    there_and_back = jax.jit(lambda p, x: autoencoder.decode(p, autoencoder.encode(p, x)))(
        params, image
    )
    error = np.mean((np.clip(there_and_back, -1, 1) - image) ** 2)
    if not np.isfinite(error):
        raise FloatingPointError(
            "the converted network's output is not finite: fetch the file again"
        )
    return float(10 * np.log10(4 / max(error, 1e-12)))


def convert(
    source: Path,
    folder: Path,
    *,
    decoder: Path | None = None,
    groups: int | None = None,
    scale: float | None = None,
    shift: float | None = None,
    licence: str = "",
    key: str = "",
) -> None:
    """Write the folder; nothing is left behind on an error.

    Args:
        source: file of the state dict, index of its shards, or folder of either.
        folder: folder to make; may exist if it is empty.
        decoder: second file of a tiny autoencoder that comes in two.
        groups: groups of the normalisation; None as config.json says, else 32.
        scale: scale of the latents; None as config.json says, else SD 1.x's 0.18215 (tiny: 1).
        shift: shift of the latents; None as config.json says, else 0.
        licence: noted in the folder.
        key: where the weights lie in the file, if it holds several.

    Raises:
        FileNotFoundError: no such file.
        ValueError: tensors that do not fit, or a folder that is not empty.
        FloatingPointError: the network's output is not finite.
    """
    from msflow_jax.convert import convert_vae
    from msflow_jax.convert.config_json import beside, check_said, latent_range
    from msflow_jax.convert.shards import listed, weight_files
    from msflow_jax.convert.state_dicts import of_file
    from msflow_jax.convert.vae import find_vae
    from msflow_jax.latent.autoencoder import Autoencoder, save
    from msflow_jax.nets import count_parameters
    from msflow_jax.storage.archives import file_sha256
    from msflow_jax.storage.atomic import check_new

    check_new(folder)
    for flag, number in (("--groups", groups), ("--scale", scale)):
        if number is not None and not 0 < number < float("inf"):
            raise ValueError(f"{flag} must be a positive number, got {number}")
    if shift is not None and not abs(shift) < float("inf"):
        raise ValueError(f"--shift must be finite, got {shift}")
    tensors, said = read(source, decoder, key), beside(source)
    groups = groups or said.get("norm_num_groups", 32)
    with of_file(source):
        kind, config, params = convert_vae(tensors, groups=groups, key="" if decoder else key)
    check_said(source, said, kind.__name__, config)
    chosen, assumed = latent_range(kind.__name__, config["latent"], said, scale, shift)
    autoencoder = Autoencoder(kind(**config), *chosen)
    quality = psnr(autoencoder, params)
    files = [*weight_files(source), *(weight_files(decoder) if decoder else ())]
    origin = {
        "files": {f.name: file_sha256(f) for f in files},
        "licence": licence or "not given: see where the weights come from",
        "psnr_db": round(quality, 2),
    }
    save(folder, autoencoder, params, origin)
    count = count_parameters(params)
    print(f"{source.name}: {kind.__name__} of {count:,} parameters, {len(tensors)} tensors read")
    print("  ".join(f"{name} {value}" for name, value in config.items()))
    if not decoder and (found := find_vae(tensors, key)).unused:
        print(f"taken: {listed(list(found.original.values()))}; not used: {listed(found.unused)}")
    print(f"latents times {chosen[0]} after minus {chosen[1]}")
    if assumed:
        print(assumed)
    print(f"a test picture encoded and decoded: PSNR {quality:.1f} dB: {folder}")
    if quality < 20:
        print("that is poor: are these trained weights, of this kind, and is --groups right?")


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument(
        "source",
        metavar="IN",
        help="state dict (.safetensors, .pt, index, folder), or a name on the hub",
    )
    flags.add_argument("folder", type=path, metavar="OUT", help="folder to make")
    flags.add_argument("--decoder", type=path, help="the second file of a tiny autoencoder")
    flags.add_argument("--groups", **whole(), help="of the normalisation (default: 32)")
    flags.add_argument(
        "--scale",
        **fraction("(0, inf)"),
        help="of the latents (default: config.json's, else SD 1.x's 0.18215; tiny: 1)",
    )
    flags.add_argument(
        "--shift", **fraction("(-inf, inf)"), help="of the latents (default: config.json's, else 0)"
    )
    add_key(flags)
    flags.add_argument("--licence", default="", help="a note to keep with the weights")
    o = flags.parse_args(arguments)
    convert(
        locate(o.source), o.folder, decoder=o.decoder, groups=o.groups, scale=o.scale, shift=o.shift,
        licence=o.licence, key=o.key,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
