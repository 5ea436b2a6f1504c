"""Reports as tokens and as latents."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.data.phantoms.reports import TEMPLATES
from msflow_jax.diffusers.text import (
    TextAutoencoder,
    annealed,
    text_loss,
    token_shape,
    write_reports,
)
from msflow_jax.nets import init_params
from msflow_jax.paired.tokens import END, START, Tokeniser

pytest.importorskip("tokenizers")
SENTENCES = [text.format(**dict.fromkeys(
    ("lesions", "side", "size", "largest", "place", "ventricles", "Ventricles", "skull", "breadth",
     "grade"), "12 mm")) for one in TEMPLATES.values() for text in one]  # fmt: skip
NET = TextAutoencoder(30, side=2, latent=4, width=16, depth=1, heads=2)


@pytest.fixture(scope="module")
def tokeniser():
    return Tokeniser.fit(SENTENCES)


@settings(max_examples=30)
@given(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=3), st.integers(0, 999))
def test_what_is_encoded_is_decoded_letter_by_letter(sentences, number):
    tokeniser = Tokeniser.fit([" ".join(SENTENCES)])
    text = " ".join([*sentences, f"Skull: breadth {number} mm."])
    rows = tokeniser.encode([text])
    assert tokeniser.decode(rows) == [text]
    assert (rows[0] == END).sum() == 1 and START not in rows and rows.dtype == np.int32


def test_unknown_words_and_long_texts_are_named(tokeniser):
    with pytest.warns(UserWarning, match="new.txt: no training report has the word.s. zebras"):
        tokeniser.encode(["The zebras lesion."], "new.txt")
    with pytest.warns(UserWarning, match="1 of 1 text.s. longer than"):
        assert tokeniser.encode(["lesion " * 400]).shape == (1, tokeniser.length)


def test_empty_reports_are_refused(tokeniser):
    with pytest.raises(ValueError, match="reports.csv: text 1 is empty: leave the row out"):
        tokeniser.encode(["a", " "], "reports.csv")
    with pytest.raises(ValueError, match="there is no text"):
        Tokeniser.fit([])


def test_it_is_kept_and_others_are_taken(tokeniser, tmp_path):
    tokeniser.save(tmp_path / "t.json")
    again = Tokeniser.load(tmp_path / "t.json")
    assert again.length == tokeniser.length and again.size == tokeniser.size
    np.testing.assert_array_equal(again.encode(SENTENCES), tokeniser.encode(SENTENCES))
    import tokenizers as lib

    other = lib.Tokenizer(lib.models.BPE())
    other.pre_tokenizer = lib.pre_tokenizers.ByteLevel(add_prefix_space=False)
    other.decoder = lib.decoders.ByteLevel()
    trainer = lib.trainers.BpeTrainer(vocab_size=300, show_progress=False)
    other.train_from_iterator(SENTENCES, trainer)
    other.save(str(tmp_path / "bpe.json"))
    taken = Tokeniser.load(tmp_path / "bpe.json", SENTENCES)
    assert taken.decode(taken.encode(SENTENCES)) == SENTENCES
    # A file that pads to the longest beside it: a text would be another one in other company.
    other.enable_truncation(60)
    other.enable_padding()
    other.save(str(tmp_path / "padding.json"))
    padding = Tokeniser.load(tmp_path / "padding.json")
    together = padding.encode(["No lesion.", SENTENCES[0] + " " + SENTENCES[1]])
    np.testing.assert_array_equal(together[0], padding.encode(["No lesion."])[0])
    assert padding.length == 61
    for content in ("[", "{}", "\x00"):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(ValueError, match=r"bad.json: no tokeniser of the library tokenizers"):
            Tokeniser.load(tmp_path / "bad.json")
    with pytest.raises(FileNotFoundError, match="nowhere.json is missing"):
        Tokeniser.load(tmp_path / "nowhere.json")


def test_words_come_from_those_before_and_the_latent():
    params = init_params(NET, jax.random.key(0), token_shape(6))
    tokens = jnp.array([[4, 5, 6, 7, 2, 0], [4, 5, 9, 7, 2, 0]])
    apply = jax.jit(NET.apply, static_argnames="method")
    mean, log_deviation = apply({"params": params}, tokens, method="encode")
    assert mean.shape == log_deviation.shape == (2, 2, 2, 4)
    np.testing.assert_allclose(mean.std(axis=(1, 2, 3)), 1, rtol=1e-3)
    z = jnp.broadcast_to(mean[:1], mean.shape)
    logits = apply({"params": params}, z, tokens, method="logits")
    np.testing.assert_allclose(logits[0, :3], logits[1, :3], atol=1e-5)  # the first three words
    assert np.abs(logits[0, 3] - logits[1, 3]).max() > 1e-4
    other = apply({"params": params}, z + 1, tokens, method="logits")
    assert np.abs(other[0, 0] - logits[0, 0]).max() > 1e-5


def test_it_learns_and_writes_what_it_has_read():
    rng = np.random.default_rng(0)
    tokens = np.zeros((8, 6), np.int32)
    tokens[:, :4] = rng.integers(3, 30, (8, 4))
    tokens[:, 4] = END
    params = init_params(NET, jax.random.key(0), token_shape(6))
    optimiser = optax.adam(1e-2)
    state = optimiser.init(params)

    @jax.jit
    def step(params, state, key):
        def loss(params):
            return text_loss(
                NET, params, tokens, key, beta=jnp.zeros(()), free_bits=0.0, word_dropout=0.3
            )

        (_value, metrics), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        updates, state = optimiser.update(gradient, state)
        return optax.apply_updates(params, updates), state, metrics

    for i in range(150):
        params, state, metrics = step(params, state, jax.random.key(i))
    assert metrics["loss_text"] < 0.5

    @jax.jit
    def read_and_write(params):
        latents = NET.apply({"params": params}, tokens, method="encode")[0]
        return write_reports(NET, params, latents, 6)

    written, logs = read_and_write(params)
    assert (written == tokens).mean() > 0.9 and (logs <= 0).all()
    assert not written[:, 5].any()  # nothing behind the end


def test_the_divergence_is_annealed():
    found = annealed(jnp.array([0.0, 0.5, 0.625, 0.75, 1.0]))
    np.testing.assert_allclose(found, [0, 0, 0.5, 1, 1])


def test_free_bits_are_free():
    """Means have unit spread, so that only the deviation says what a report's latent may carry."""
    tokens = np.full((4, 6), END, np.int32)
    params = init_params(NET, jax.random.key(0), token_shape(6))

    def gradient_and_divergence(free_bits):
        def cost(params, beta):
            return text_loss(
                NET, params, tokens, jax.random.key(1), beta=jnp.asarray(beta), word_dropout=0.0,
                free_bits=free_bits,
            )  # fmt: skip

        def of_the_divergence(params):
            found, metrics = cost(params, 1.0)
            return found - cost(params, 0.0)[0], metrics["divergence"]

        found, divergence = jax.jit(jax.grad(of_the_divergence, has_aux=True))(params)
        return float(optax.tree.norm(found)), float(divergence)

    norm, divergence = gradient_and_divergence(free_bits=2.0)
    # A deviation of exp(-2), with which training starts.
    assert norm == 0 and divergence == pytest.approx(0.5 * (np.exp(-4) - 1) + 2, rel=1e-5)
    assert gradient_and_divergence(free_bits=1.0)[0] > 0.01
