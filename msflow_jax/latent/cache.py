"""The latent cache: a split's latents with their flips, computed once, on disk in checked shards."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from filelock import FileLock, Timeout
from ml_collections import ConfigDict
from safetensors import SafetensorError
from safetensors.numpy import load, save

from msflow_jax.data.base import Info, LazySplit, Split, digest
from msflow_jax.data.batches import to_float
from msflow_jax.latent.autoencoder import fingerprint
from msflow_jax.latent.codec import LatentCodec
from msflow_jax.parallel.batched import Runner, batched
from msflow_jax.progress import bar
from msflow_jax.storage.atomic import write_atomically
from msflow_jax.storage.jsons import digest_of
from msflow_jax.storage.places import expand, user_cache

SHARD = 256  # images per file
_LOOKED_AT = 64  # images of a split that is read while training, by which its latents are known
_WAIT = 0.5  # seconds between two looks at shards that other processes are at
_FLIPS = {"horizontal": -2, "vertical": -3}  # axes of [..., S, S, C]


def flipped(images: jax.Array, flips: Sequence[str]) -> jax.Array:
    """Every combination of the flips, ``[B, S, S, C] -> [B, F, S, S, C]`` with F = 1, 2 or 4."""
    variants = [images]
    for name in flips:
        variants += [jnp.flip(v, _FLIPS[name]) for v in variants]
    return jnp.stack(variants, axis=1)


def make_encoder(codec: LatentCodec, flips: Sequence[str] = (), batch: int = 16) -> Runner:
    """``runner(params, images uint8 [N, S, S, C]) -> {"image", "deviation"}``.

    Each is float16 ``[N, F, h, w, c]``; ``image`` is the posterior's mean. Where the autoencoder has no
    posterior (the TAESD family) there is no ``deviation``. ``params`` are the autoencoder's.
    """

    def function(params: Any, images: jax.Array, index: jax.Array) -> dict[str, jax.Array]:
        variants = flipped(to_float(images), flips)
        flat = variants.reshape(-1, *variants.shape[2:])
        mean, deviation = codec.moments(params, flat)
        found = {"image": mean, "deviation": deviation}
        if not codec.autoencoder.net.posterior:
            del found["deviation"]
        # float16 halves disk and device memory; it rounds by at most 5e-4 of a value.
        return {
            name: a.reshape(*variants.shape[:2], *a.shape[1:]).astype(jnp.float16)
            for name, a in found.items()
        }

    return batched(function, batch)


@dataclass(frozen=True)
class Cache:
    """Where the latents of one split lie, and what they are of.

    Attributes:
        folder: holds ``facts.json`` and shards ``00000.safetensors``, each with its sum
            ``00000.json``.
        facts: everything that the latents depend on; a folder of other facts is never read.
    """

    folder: Path
    facts: dict[str, Any]


def locate(root: str, facts: dict[str, Any]) -> Cache:
    """The cache of these facts under ``root`` (empty: in the user's cache folder)."""
    key = digest_of(facts)[:16]
    name = f"{facts['data']}-{facts['split']}-{key}".replace("/", "-").replace(":", "-")
    return Cache((expand(root) if root else user_cache("latents")) / name, facts)


def read_or_encode(
    cache: Cache,
    split: Split | LazySplit,
    encode: Callable[[np.ndarray], dict[str, np.ndarray]],
    description: str = "",
) -> dict[str, np.ndarray]:
    """The latents of a split: shards that are there and sound are read, the others encoded and written.

    Several processes may be at it, each takes the next shard that nobody is at; each returns when all
    are there. An interrupted call loses at most the shard it was at.

    Args:
        cache: folder and facts of the latents, see :func:`locate`.
        split: images to encode.
        encode: uint8 ``[n, S, S, C]`` to arrays ``[n, ...]`` by name.
        description: words before a progress bar; no bar where empty.

    Returns:
        Arrays ``[N, ...]`` by name.

    Raises:
        OSError: a shard cannot be written (full disk); those before it are kept.
        FloatingPointError: latents that are not finite.
        FileNotFoundError: several processes train together and the cache is not complete.
        ValueError: the split is empty.
    """
    if not len(split):
        raise ValueError(f"the {cache.facts['split']} split is empty: there is nothing to encode")
    starts = range(0, len(split), SHARD)
    stems = {start: cache.folder / f"{start // SHARD:05d}" for start in starts}
    found = {start: _read(stem, cache.facts) for start, stem in stems.items()}
    missing = [start for start in starts if found[start] is None]
    if missing and jax.process_count() > 1:
        raise FileNotFoundError(
            f"{len(missing)} of {len(starts)} parts of the latent cache {cache.folder} are missing: "
            "encode them first with --encode-only, in as many processes as you like, on a disk that all "
            "of them see"
        )
    if missing:
        write_atomically(
            cache.folder / "facts.json", (json.dumps(cache.facts, indent=1) + "\n").encode()
        )
        count = sum(min(SHARD, len(split) - start) for start in missing)
        with bar(description, count) if description else nullcontext(lambda n: None) as advance:
            while missing:
                for start in missing:
                    index = np.arange(start, min(start + SHARD, len(split)))
                    found[start] = _take(stems[start], cache.facts, split, index, encode)
                    if found[start] is not None:
                        advance(len(index))
                before, missing = missing, [start for start in missing if found[start] is None]
                if len(missing) == len(before):  # all that are left are at other processes
                    time.sleep(_WAIT)
    parts = [found[start] for start in starts]
    return {name: np.concatenate([p[name] for p in parts if p]) for name in parts[0] or {}}


def _take(
    stem: Path,
    facts: dict[str, Any],
    split: Split | LazySplit,
    index: np.ndarray,
    encode: Callable[[np.ndarray], dict[str, np.ndarray]],
) -> dict[str, np.ndarray] | None:
    """Encodes and writes a shard, or reads what another process made of it; None while one is at it.

    The system gives a shard's lock free when its process ends, however it ends.
    """
    try:
        lock = FileLock(stem.with_suffix(".lock")).acquire(blocking=False)
    except Timeout:
        return None
    with lock:
        if (arrays := _read(stem, facts)) is not None:
            return arrays
        arrays = encode(np.stack([split.read(int(i)) for i in index]))
        if not all(np.isfinite(a).all() for a in arrays.values()):
            raise FloatingPointError(
                f"latents of images {index[0]} to {index[-1]} are not finite in float16: the "
                "autoencoder is damaged, or its scale is wrong"
            )
        _write(stem, arrays, facts)
    return arrays


def split_latents(
    codec: LatentCodec,
    params: Any,
    split: Split | LazySplit,
    name: str,
    info: Info,
    config: ConfigDict,
    flips: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """The latents of a split, ``[N, F, h, w, c]`` float16 by name, through the cache.

    Args:
        codec: the autoencoder at the side at which images are encoded.
        params: parameters of the autoencoder.
        split: images to encode.
        name: name of the split.
        info: what the data are.
        config: the part ``latent`` of a model's configuration.
        flips: variants to encode.

    Raises:
        As :func:`read_or_encode`.
    """
    facts = {
        "data": info.name, "md5": info.md5, "split": name, "images": len(split), "flips": list(flips),
        "autoencoder": fingerprint(codec.autoencoder, params), "side": [info.side, codec.side],
        "channels": info.channels, "names": digest("\n".join(split.names).encode()),
        "value_range": list(info.value_range), "fit": info.fit, "pixels": _pixels(split),
        "version": 4, **info.files(),
    }  # fmt: skip
    encode = make_encoder(codec, flips, config.batch)
    cache = locate(config.cache, facts)
    return read_or_encode(
        cache, split, lambda images: encode(params, images), f"encoding the {name} split"
    )


def _pixels(split: Split | LazySplit) -> str:
    """Of what is encoded: the same files may be read, cut and scaled otherwise by another version.

    Of a split that is read while training some images stand for all: reading it twice would take long.
    """
    if isinstance(split, Split):
        return digest(np.ascontiguousarray(split.images).data)
    rows = np.linspace(0, len(split) - 1, min(len(split), _LOOKED_AT)).round().astype(int)
    return digest(*(split.read(i).tobytes() for i in rows.tolist()))


def _write(stem: Path, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    content = save({name: np.ascontiguousarray(a) for name, a in arrays.items()})
    write_atomically(stem.with_suffix(".safetensors"), content)
    record = {"sha256": hashlib.sha256(content).hexdigest(), "facts": facts}
    write_atomically(stem.with_suffix(".json"), (json.dumps(record) + "\n").encode())


def _read(stem: Path, facts: dict[str, Any]) -> dict[str, np.ndarray] | None:
    """A shard, or None where it is absent, unfinished, damaged or of something else."""
    try:
        record = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
        content = stem.with_suffix(".safetensors").read_bytes()
        if record["facts"] != facts or hashlib.sha256(content).hexdigest() != record["sha256"]:
            raise ValueError("its sum or its facts are not those recorded")
        return load(content)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        print(f"{stem}.safetensors is damaged ({error}): it is encoded again")
        return None
