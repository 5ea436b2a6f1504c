"""The understanding branch: words and image tokens through an expert, and what it answers.

SynerMedGen, arXiv 2605.08724, stage I. An answer is given in two forms. The *letter* is read off the
expert, as in the paper. The *direct* form compares vectors: content tokens of slices place by place,
appearances with the names of modalities, and changes of appearance with descriptions; its cross-entropy
is that of the same choice, and it reaches the encoders without the expert in between.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.nets.dit import position_code
from msflow_jax.nets.layers import Dense, Dtype
from msflow_jax.synergy.encoder import Seen, spread
from msflow_jax.synergy.experts import Expert, Group, Memory, nowhere, somewhere
from msflow_jax.synergy.pool import CANDIDATES

_READOUT = 128  # hidden channels of what is read off single images
_UNIT = 50.0  # brings embeddings, drawn with a deviation of 0.02, to unit spread


class Understanding(nn.Module):
    """Words, image tokens and the expert that reads both.

    Attributes:
        size: how many token numbers there are.
        width: channels of a token.
        features: numbers of a content token.
        look: numbers of an appearance vector.
        grid: content tokens along the axes of space.
        expert: the expert, of this width.
        pooled: tokens along an axis of an image of a question.
        dtype: compute dtype.
    """

    size: int
    width: int
    features: int
    look: int
    grid: tuple[int, ...]
    expert: Expert
    pooled: int = 4
    dtype: Dtype = jnp.float32

    def setup(self) -> None:
        """The layers of all methods."""
        zeros = nn.initializers.zeros
        self.words = self.param("word_embedding", zeros, (self.size, self.width))
        self.query = self.param("query_embedding", zeros, (1, self.width))
        self.content_in = Dense(self.width, self.dtype)
        self.look_in = Dense(self.width, self.dtype)
        self.letters = Dense(CANDIDATES)
        self.description = Dense(self.look)
        self.panel = Dense(self.look)
        self.readout_in = Dense(_READOUT)
        self.readout_out = Dense(self.look)

    def __call__(self, prompt: jax.Array, seen: Seen) -> jax.Array:
        """All layers once, for their shapes: ``prompt [B, T]``, ``seen`` of ``[B, n]`` images."""
        letters, panels = self.answer(prompt, seen, jnp.ones(seen.look.shape[:2], bool))
        return letters.sum() + panels.sum() + self.describe(prompt).sum() + self.readout(seen).sum()

    def embed(self, prompt: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Tokens ``[B, T, width]`` of rows of numbers ``[B, T]``, and which are no padding."""
        return _UNIT * jnp.take(self.words, prompt, axis=0), prompt > 0

    def describe(self, prompt: jax.Array) -> jax.Array:
        """What a text means, among appearances: ``[B, E]`` of unit mean square."""
        tokens, there = self.embed(prompt)
        end = jnp.broadcast_to(_UNIT * self.query, (len(tokens), 1, self.width))
        seen = jnp.concatenate([there, jnp.ones((len(there), 1), bool)], axis=1)
        positions = jnp.arange(tokens.shape[1] + 1)
        tokens = jnp.concatenate([tokens, end], axis=1)
        out, _ = self.expert(Group(tokens, seen, positions, nowhere(len(positions))))
        return spread(self.description(out[:, -1]))

    def answer(self, prompt: jax.Array, seen: Seen, used: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Reads a question and its images.

        Args:
            prompt: rows of token numbers ``[B, T]``.
            seen: of the images ``[B, n]``.
            used: which there are, bool ``[B, n]``.

        Returns:
            Logits of the letters ``[B, 4]``, and of every image a vector among appearances
            ``[B, n, E]``: what the expert takes it for.
        """
        words, there = self.embed(prompt)
        count, images = words.shape[1], used.shape[1]
        content, code = self._pool(seen.content)
        tokens = jnp.concatenate(
            [self.look_in(seen.look)[:, :, None], self.content_in(content) + code[None, None]],
            axis=2,
        )
        each = tokens.shape[2]
        # A token's own place in all images is what slices are told apart by.
        places = jnp.concatenate([nowhere(1), somewhere(self._pooled())])
        tokens = tokens.reshape(len(words), images * each, self.width)
        end = jnp.broadcast_to(_UNIT * self.query, (len(words), 1, self.width))
        group = Group(
            jnp.concatenate([words, tokens.astype(words.dtype), end], axis=1),
            jnp.concatenate(
                [there, jnp.repeat(used, each, axis=1), jnp.ones((len(words), 1), bool)], axis=1
            ),
            jnp.concatenate(
                [jnp.arange(count), count + jnp.arange(images * each + 1) // each]
            ),
            jnp.concatenate([nowhere(count), *[places] * images, nowhere(1)]),
        )  # fmt: skip
        out, _ = self.expert(group)
        looks = out[:, count:-1].reshape(len(words), images, each, self.width)[:, :, 0]
        return self.letters(out[:, -1]), spread(self.panel(looks))

    def read(
        self, prompt: jax.Array, told: jax.Array, image: jax.Array, wanted: jax.Array,
        keep: jax.Array | None,
    ) -> Memory:  # fmt: skip
        """What is kept of an instruction and of an image, for the other expert.

        Args:
            prompt: rows of token numbers ``[B, T]``.
            told: 1 where the prompt is given ``[B]``, else nothing of it is there.
            image: tokens of the source's content ``[B, T, width]``.
            wanted: token of the wanted look ``[B, 1, width]``.
            keep: ``[B, 2]``, 1 where the content, and where the look is given; None: all.
        """
        words, there = self.embed(prompt)
        keep = jnp.ones((len(words), 2)) if keep is None else keep
        code = position_code(self.grid, self.width)
        image = image + code.astype(self.dtype)[None]
        count = words.shape[1]
        there = there & (told[:, None] > 0)
        shown = [
            jnp.repeat(keep[:, i : i + 1] > 0, n, axis=1) for i, n in ((1, 1), (0, image.shape[1]))
        ]
        group = Group(
            jnp.concatenate([one.astype(words.dtype) for one in (words, wanted, image)], axis=1),
            jnp.concatenate([there, *shown], axis=1),
            # The wanted look stands before the image, whose tokens share one place in the sequence.
            jnp.concatenate([jnp.arange(count + 1), jnp.full(image.shape[1], count + 1)]),
            jnp.concatenate([nowhere(count + 1), somewhere(self.grid)]),
        )  # fmt: skip
        return self.expert(group)[1]

    def readout(self, seen: Seen) -> jax.Array:
        """What single images show, as vectors among appearances ``[..., E]``: for questions on one."""
        content, _ = self._pool(seen.content)
        flat = content.reshape(*content.shape[:-2], -1)
        h = nn.gelu(self.readout_in(jnp.concatenate([flat, seen.look], axis=-1)))
        return spread(self.readout_out(h))

    @nn.nowrap
    def _pooled(self) -> tuple[int, ...]:
        """Tokens along the axes of an image of a question."""
        return tuple(min(self.pooled, n) for n in self.grid)

    @nn.nowrap
    def _pool(self, content: jax.Array) -> tuple[jax.Array, np.ndarray]:
        """Content averaged to ``pooled`` tokens along an axis, and the code of their places."""
        side = self._pooled()
        before = content.shape[:-2]
        x = content.reshape(*before, *self.grid, self.features)
        for axis, (n, m) in enumerate(zip(self.grid, side, strict=True)):
            at = len(before) + axis
            x = jnp.moveaxis(x, at, -1)
            x = (x @ _average(n, m)).astype(x.dtype)
            x = jnp.moveaxis(x, -1, at)
        code = position_code(side, self.width).astype(self.dtype)
        return x.reshape(*before, -1, self.features), code


def _average(count: int, parts: int) -> np.ndarray:
    """Matrix ``[count, parts]`` that averages neighbours."""
    of = np.arange(count) * parts // count
    found = (of[:, None] == np.arange(parts)).astype(np.float32)
    return found / found.sum(axis=0)
