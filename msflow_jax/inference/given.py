"""What users give to models of several modalities, as these take it: checked once, before anything."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from msflow_jax.data.checks import check_images, check_tokens
from msflow_jax.data.modality import check_lengths


def check_sources(flow: Any, sources: Mapping[str, Any], least: int = 1) -> dict[str, np.ndarray]:
    """Sources of a model of several modalities, as it takes them.

    Args:
        flow: opened workdir.
        sources: images ``[N, *shape]``, rows of tokens ``[N, T]`` or N texts, by modality.
        least: how many modalities there must be.

    Returns:
        Images uint8, or float32 in [-1, 1], ``[N, *shape]``, and tokens int32 ``[N, T]``, by modality.

    Raises:
        ValueError: no mapping, too few, an unknown modality, or what :func:`check_source` refuses;
            sources of different lengths.
    """
    known = list(flow.model.modalities)
    if not isinstance(sources, Mapping):
        raise ValueError(
            f"sources are images by modality, such as {{{known[-1]!r}: images}}, got "
            f"{type(sources).__name__}"
        )
    if len(sources) < least:
        raise ValueError(f"give at least one modality as a source, of {', '.join(known)}")
    found = {name: check_source(flow, name, x) for name, x in sources.items()}
    if found:
        first, count = next((name, len(x)) for name, x in found.items())
        check_lengths(count, found, f"{first} has {count} examples")
    return found


def check_source(flow: Any, name: str, x: Any) -> np.ndarray:
    """Images, or rows of tokens, of one modality; texts become such rows.

    Args:
        flow: opened workdir.
        name: the modality.
        x: images as ``Flow.classify`` takes them; of reports rows of tokens, or texts.

    Raises:
        ValueError: an unknown modality, images of another type, range or shape, and tokens that are none
            of its tokeniser.
    """
    if not getattr(flow.model.require(name), "text", False):
        return check_images(x, flow.info.of_modality(name).shape, name)
    tokeniser = flow.parts.tokeniser
    texts = [x] if isinstance(x, str) else x
    if np.ndim(texts) == 1 and len(texts) and all(isinstance(text, str) for text in texts):
        return tokeniser.encode(list(texts), name)
    return check_tokens(x, tokeniser.length, tokeniser.size, name)
