"""What a model that understands says of images: answers, classes, and which modality they show."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from msflow_jax.inference.prediction import Prediction
from msflow_jax.synergy.encoder import Seen
from msflow_jax.synergy.pool import CANDIDATES
from msflow_jax.synergy.task_split import IMAGES

Params = Any


class Sayings:
    """Those verbs of :class:`~msflow_jax.synergy.model.Synergy` that draw nothing, all pure."""

    def answer(
        self: Any, params: Params, batch: Mapping[str, jax.Array], order: jax.Array | None = None,
        lettered: int | None = None,
    ) -> dict[str, jax.Array]:  # fmt: skip
        """Logits of the answers to questions, in both forms; which holds, the task says.

        Args:
            params: the whole tree.
            batch: ``image_0`` .. ``image_4`` ``[B, *shape]`` in [-1, 1], ``modality [B, 5]`` (0: there
                is no such image), ``prompt [B, T]``, ``options [B, 4 T]``, ``asked [B]``, as
                :class:`TaskSplit` gives them.
            order: PRNG key of a random order of the source's places, for direct answers; None: as they
                are.
            lettered: how many of the questions, the first, the expert reads: most of the time goes
                there; None: all.

        Returns:
            ``letter [B, 4]`` and, of a selection, an instruction and a question on one image,
            ``selection``, ``instruction``, ``question [B, 4]``; of every image and kind of question on
            one ``facts [B, 5, 4, 4]``; of the panels' modalities
            ``panel [B, 5, M]`` by the expert and ``name [B, 5, M]`` by appearance; of a selection's
            places ``place [B, T, 4, T]``, against those of all candidates, and ``back [B, T, T]``, of
            the right one's against the source's. Letters and panels are of the first ``lettered``.
        """
        images = jnp.stack([batch[name] for name in IMAGES], axis=1)
        used = batch["modality"] > 0
        flat = images.reshape(-1, *images.shape[2:])
        content, look = (x.reshape(*used.shape, *x.shape[1:]) for x in self.see(params, flat))
        first = slice(lettered)
        letter, panel = self._understand(
            params, batch["prompt"][first], Seen(content[first], look[first]), used[first],
            method="answer",
        )  # fmt: skip
        names, sharp = self.names(params), 1 / self.temperature
        options = batch["options"].reshape(len(used) * CANDIDATES, -1)
        meant = self.describe(params, options)
        of_one = self._of_one(params, options, meant).reshape(len(used), CANDIDATES, -1)
        meant = meant.reshape(of_one.shape)
        change = unit(look[:, 1] - look[:, 0])
        shown = self._understand(params, Seen(content, look), method="readout")
        alone = self.describe(params, jnp.asarray(self.alone, jnp.int32))
        facts = sharp * jnp.einsum("bie,oe->bio", unit(shown), unit(alone))
        asked = jnp.take_along_axis(shown, batch["asked"][:, None, None], axis=1)[:, 0]
        right = 1 + batch["answer"]
        true = jnp.take_along_axis(content, right[:, None, None, None], axis=1)[:, 0]
        size, source = content.shape[-1], content[:, 0]
        if order is not None:
            source = jax.random.permutation(order, source, axis=1, independent=False)
        return {
            "letter": letter,
            "selection": sharp * jnp.einsum("bpf,bkpf->bk", source, content[:, 1:])
            / (size * content.shape[2]),
            "place": sharp * jnp.einsum("bpf,bkqf->bpkq", source, content[:, 1:]) / size,
            "back": sharp * jnp.einsum("bqf,bpf->bqp", true, source) / size,
            "instruction": sharp * jnp.einsum("be,bke->bk", change, unit(meant)),
            "facts": facts.reshape(*facts.shape[:2], -1, CANDIDATES),
            "question": sharp * jnp.einsum("be,bke->bk", unit(asked), unit(of_one)),
            "name": sharp * jnp.einsum("bie,me->bim", unit(look), unit(names)),
            "panel": sharp * jnp.einsum("bie,me->bim", unit(panel), unit(names)),
        }  # fmt: skip

    def _of_one(self: Any, params: Params, options: jax.Array, meant: jax.Array) -> jax.Array:
        """What options ``[N, T]`` mean of one image ``[N, E]``: ``meant``, where these are longer.

        A text is read where its padding ends, so that another length is another reading, and these
        options are trained at the length of ``alone``, not at that of descriptions.
        """
        length = len(self.alone[0])
        short = (options[:, length:] == 0).all(axis=1)
        return jnp.where(short[:, None], self.describe(params, options[:, :length]), meant)

    def classify(
        self: Any, params: Params, images: jax.Array, key: jax.Array, *,
        index: jax.Array | None = None, weights: Sequence[float] | None = None,
    ) -> Prediction:  # fmt: skip
        """Probabilities of the classes of images, of any modality; nothing in them is by chance.

        Args:
            params: the whole tree.
            images: images ``[B, *shape]`` in [-1, 1].
            key: PRNG key, which is not used, as is ``index``.
            index: see there.
            weights: ratio of target to training prior of each class ``[K]`` (label-shift correction).

        Returns:
            Distances -log p(y | x) in nats.
        """
        del key, index
        logits = self.class_logits(params, self.see(params, images))
        if weights is not None:
            logits += jnp.log(jnp.asarray(weights))[None]
        logs = jax.nn.log_softmax(logits)[None]
        return Prediction(
            -logs, jnp.exp(logs), logs.argmax(axis=-1), jnp.float32(1),
            jnp.isfinite(logs).all(axis=-1), None, self.classes, in_nats=True,
        )  # fmt: skip

    def modality_logits(self: Any, params: Params, images: jax.Array) -> jax.Array:
        """Logits of the modalities that images ``[B, *shape]`` show ``[B, M]``, in order."""
        look = self.see(params, images).look
        return unit(look) @ unit(self.names(params)).T / self.temperature


def unit(x: jax.Array) -> jax.Array:
    """Vectors of length 1 along the last axis."""
    return x * jax.lax.rsqrt(jnp.square(x).sum(axis=-1, keepdims=True) + 1e-6)
