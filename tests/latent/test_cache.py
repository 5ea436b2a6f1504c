"""The latent cache: what is read back, what is made anew, what survives."""

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.data import Info, LazySplit, Split
from msflow_jax.latent import cache as latents
from msflow_jax.latent.autoencoder import Autoencoder
from msflow_jax.latent.cache import flipped, locate, make_encoder, read_or_encode
from msflow_jax.latent.codec import LatentCodec
from msflow_jax.nets import init_params
from msflow_jax.nets.patches import fit_patches
from msflow_jax.nets.vae import AutoencoderKL

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (23, 8, 8, 3), dtype=np.uint8)
SPLIT = Split.of_images(IMAGES, np.zeros(23, np.int32), tuple(map(str, range(23))))
FACTS = {"data": "tfds:some/thing", "split": "train", "md5": "0"}


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(latents, "SHARD", 5)


class Encoder:
    """Counts what it encodes; fails from the image ``broken`` on."""

    def __init__(self, broken=1000):
        self.seen, self.broken = 0, broken

    def __call__(self, images):
        self.seen += len(images)
        if self.seen > self.broken:
            raise KeyboardInterrupt
        return {"image": images[:, None, ::2, ::2].astype(np.float16)}


EXPECTED = IMAGES[:, None, ::2, ::2].astype(np.float16)


def test_what_was_encoded_is_read(tmp_path):
    cache = locate(str(tmp_path), FACTS)
    first, second = Encoder(), Encoder()
    np.testing.assert_array_equal(read_or_encode(cache, SPLIT, first)["image"], EXPECTED)
    np.testing.assert_array_equal(read_or_encode(cache, SPLIT, second)["image"], EXPECTED)
    assert (first.seen, second.seen) == (23, 0)
    assert cache.folder.name.startswith("tfds-some-thing-train-")
    other = locate(str(tmp_path), {**FACTS, "md5": "1"})
    assert other.folder != cache.folder


def test_pictures_scaled_or_fitted_otherwise_have_other_latents(monkeypatch):
    monkeypatch.setattr(latents, "fingerprint", lambda *_: "0")
    monkeypatch.setattr(latents, "make_encoder", lambda *_: None)
    monkeypatch.setattr(latents, "read_or_encode", lambda cache, *_: cache.folder)
    codec, config = SimpleNamespace(autoencoder=None, side=8), SimpleNamespace(batch=1, cache="")
    info = Info("x", ("a", "b"), 3, 8, "binary-class", "", "", "", ())
    variants = [info, replace(info, value_range=(0, 4095)), replace(info, fit="pad")]
    folders = {latents.split_latents(codec, None, SPLIT, "train", i, config) for i in variants}
    assert len(folders) == 3


def test_other_pixels_of_the_same_files_have_other_latents(monkeypatch):
    """As another version may read, cut or scale them; also where they are read while training."""
    monkeypatch.setattr(latents, "fingerprint", lambda *_: "0")
    monkeypatch.setattr(latents, "make_encoder", lambda *_: None)
    monkeypatch.setattr(latents, "read_or_encode", lambda cache, *_: cache.folder)
    codec, config = SimpleNamespace(autoencoder=None, side=8), SimpleNamespace(batch=1, cache="")
    info, read = Info("x", ("a", "b"), 3, 8, "binary-class", "", "", "", ()), []

    def folder(images, lazy):
        def one(i):
            read.append(i)
            return images[i]

        names = tuple(map(str, range(len(images))))
        labels = np.zeros(len(images), np.int32)
        split = Split.of_images(images, labels, names)
        if lazy:
            split = LazySplit(one, labels, names, images.shape[1:])
        return latents.split_latents(codec, None, split, "train", info, config)

    for lazy in (False, True):
        other = IMAGES.copy()
        other[-1, 3, 3] ^= 1
        assert folder(IMAGES.copy(), lazy) == folder(IMAGES, lazy) != folder(other, lazy)
    read.clear()
    folder(np.zeros((1000, 2, 2, 3), np.uint8), True)
    assert len(read) == 64 and (read[0], read[-1]) == (0, 999) and max(np.diff(read)) == 16


def test_an_interrupted_call_goes_on(tmp_path):
    cache = locate(str(tmp_path), FACTS)
    with pytest.raises(KeyboardInterrupt):
        read_or_encode(cache, SPLIT, Encoder(broken=12))
    rest = Encoder()
    np.testing.assert_array_equal(read_or_encode(cache, SPLIT, rest)["image"], EXPECTED)
    assert rest.seen == 13  # two shards of five were complete


@pytest.mark.parametrize("damage", ["cut", "flip", "sum", "gone", "facts"])
def test_a_damaged_shard_is_named_and_made_anew(tmp_path, capsys, damage):
    cache = locate(str(tmp_path), FACTS)
    read_or_encode(cache, SPLIT, Encoder())
    data, record = (cache.folder / f"00002.{end}" for end in ("safetensors", "json"))
    content = bytearray(data.read_bytes())
    if damage == "cut":
        data.write_bytes(content[:-7])
    elif damage == "flip":
        content[-3] ^= 1
        data.write_bytes(content)
    elif damage == "sum":
        record.write_text("{")
    elif damage == "gone":
        data.unlink()
    else:
        record.write_text(record.read_text().replace('"md5": "0"', '"md5": "9"'))
    again = Encoder()
    np.testing.assert_array_equal(read_or_encode(cache, SPLIT, again)["image"], EXPECTED)
    assert again.seen == 5
    assert ("00002.safetensors is damaged" in capsys.readouterr().out) == (damage != "gone")


def test_a_full_disk_keeps_what_is_there(tmp_path, monkeypatch):
    cache, kept, left = locate(str(tmp_path), FACTS), latents.write_atomically, [5]

    def write(path, content):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return kept(path, content)

    monkeypatch.setattr(latents, "write_atomically", write)
    with pytest.raises(OSError, match="No space left"):
        read_or_encode(cache, SPLIT, Encoder())
    monkeypatch.setattr(latents, "write_atomically", kept)
    rest = Encoder()
    np.testing.assert_array_equal(read_or_encode(cache, SPLIT, rest)["image"], EXPECTED)
    assert rest.seen == 13


def test_latents_that_are_not_finite_are_not_kept(tmp_path):
    cache = locate(str(tmp_path), FACTS)
    with pytest.raises(FloatingPointError, match="images 0 to 4 are not finite"):
        read_or_encode(cache, SPLIT, lambda images: {"image": np.full((len(images), 2), np.inf)})
    assert not list(cache.folder.glob("*.safetensors"))


def test_several_processes_need_a_complete_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(FileNotFoundError, match="5 of 5 parts .* --encode-only"):
        read_or_encode(locate(str(tmp_path), FACTS), SPLIT, Encoder())


def test_processes_share_the_shards_and_each_gets_all(tmp_path, monkeypatch):
    monkeypatch.setattr(latents, "_WAIT", 0.01)
    cache, barrier = locate(str(tmp_path), FACTS), threading.Barrier(2)

    class Together(Encoder):
        """Waits in its first shard until the other one has begun as well."""

        def __call__(self, images):
            if not self.seen:
                barrier.wait(timeout=30)
            return super().__call__(images)

    encoders = Together(), Together()
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda e: read_or_encode(cache, SPLIT, e), encoders):
            np.testing.assert_array_equal(found["image"], EXPECTED)
    assert all(e.seen for e in encoders) and sum(e.seen for e in encoders) == 23


def test_flips_are_all_combinations():
    x = jnp.asarray(IMAGES[:2])
    out = np.asarray(flipped(x, ("horizontal", "vertical")))
    assert out.shape == (2, 4, 8, 8, 3)
    for got, expected in zip(
        out.swapaxes(0, 1), (x, x[:, :, ::-1], x[:, ::-1], x[:, ::-1, ::-1]), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


def codec_of(net):
    return LatentCodec(Autoencoder(net, scale=0.5), (8, 8, 3))


def test_the_encoder_gives_flipped_moments():
    net = AutoencoderKL(latent=2, widths=(4, 4), blocks=1, groups=2)
    params = init_params(net, jax.random.key(0), jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32))
    codec = codec_of(net)
    out = make_encoder(codec, ("horizontal",), batch=4)(params, IMAGES[:6])
    assert out["image"].shape == out["deviation"].shape == (6, 2, 4, 4, 2)
    assert out["image"].dtype == np.float16
    mean, deviation = codec.moments(
        params, jnp.asarray(IMAGES[:6, :, ::-1] / 127.5 - 1, jnp.float32)
    )
    np.testing.assert_allclose(out["image"][:, 1], mean, atol=2e-3)
    np.testing.assert_allclose(out["deviation"][:, 1], deviation, rtol=2e-3)


def test_no_posterior_no_deviation():
    net, params, _ = fit_patches(IMAGES / 127.5 - 1, 4, 6)
    assert set(make_encoder(codec_of(net))(params, IMAGES)) == {"image"}
