"""What the config.json of diffusers says of an autoencoder's weights beside it."""

from pathlib import Path
from typing import Any

from msflow_jax.storage.jsons import read_object

REMEDY = "correct it, fetch it again, or remove it"
SD_SCALE = 0.18215  # Stable Diffusion 1.x's

# What config.json of diffusers may say, by key: its type, its least and its largest value.
SAID: dict[str, tuple[type, float, float]] = {
    "norm_num_groups": (int, 1, 4096),
    "scaling_factor": (float, 1e-6, 1e6),
    "shift_factor": (float, -1e6, 1e6),
    "latent_channels": (int, 1, 65536),
}
UNFIT = ("latents_mean", "latents_std")  # a number for each channel
ACTIVATIONS = {"AutoencoderKL": ("silu", "swish"), "TinyAutoencoder": ("relu",)}


def beside(source: Path) -> dict[str, Any]:
    """What a config.json in the folder of the weights says, if there is one; see ``SAID``.

    Raises:
        ValueError: the file is no JSON object, a value of it is no such number, or it scales channels
            apart.
    """
    path = (source if source.is_dir() else source.parent) / "config.json"
    if not path.is_file():
        return {}
    found = {k: v for k, v in read_object(path, REMEDY).items() if v is not None}
    for key in UNFIT:
        if key in found:
            raise ValueError(
                f"{path}: {key} is {found[key]!r:.60}, and latents have one scale and one shift "
                "for all channels here: take another autoencoder, or remove the line and give --scale "
                "and --shift"
            )
    for key, (kind, low, high) in SAID.items():
        value = found.get(key, low)
        numeric = isinstance(value, int | kind) and not isinstance(value, bool)
        if not numeric or not low <= value <= high:
            raise ValueError(
                f"{path}: {key} is {value!r:.60}, no {kind.__name__} in [{low:g}, {high:g}]: {REMEDY}"
            )
    return found


def check_said(source: Path, said: dict[str, Any], kind: str, network: dict[str, Any]) -> None:
    """Raises a ValueError where config.json and the tensors are of different networks."""
    path = (source if source.is_dir() else source.parent) / "config.json"
    for key, real in (("latent_channels", network["latent"]), ("act_fn", ACTIVATIONS[kind])):
        value = said.get(key)
        if value is not None and value != real and not (isinstance(real, tuple) and value in real):
            raise ValueError(f"{path}: {key} is {value!r:.60}, the tensors need {real}: {REMEDY}")


def latent_range(
    kind: str, channels: int, said: dict[str, Any], scale: float | None, shift: float | None
) -> tuple[tuple[float, float], str]:
    """Scale and shift of the latents, and a line about what was assumed, empty if nothing was.

    Args:
        kind: name of the network's class. A tiny one's latents are scaled already.
        channels: of the latents.
        said: what config.json says (``beside``).
        scale: chosen, or None.
        shift: chosen, or None.
    """
    full = kind == "AutoencoderKL"
    usual = SD_SCALE if full else 1.0
    chosen = {
        "--scale": float(said.get("scaling_factor", usual)) if scale is None else scale,
        "--shift": float(said.get("shift_factor", 0.0)) if shift is None else shift,
    }
    # A config.json without a shift says that there is none; a file alone says nothing.
    told = {"--scale": scale is not None or "scaling_factor" in said}
    told["--shift"] = shift is not None or bool(said)
    numbers = chosen["--scale"], chosen["--shift"]
    guessed = [flag for flag in chosen if not told[flag]]
    if not full or not guessed:
        return numbers, ""
    words = " and ".join(f"{flag} {chosen[flag]}" for flag in guessed)
    why = (
        "Stable Diffusion 1.x's; the scale of XL's is 0.13025"
        if channels == 4
        else f"Stable Diffusion 1.x's of 4 channels, these are of {channels}: give --scale and --shift"
    )
    return numbers, f"assumed, as no config.json says it: {words}, {why}"
