"""What endpoints answer, but for classification: files and parameters in, what JSON can carry out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.families import draws_modalities
from msflow_jax.inference import together
from msflow_jax.inference.explained import choose_classes, panels
from msflow_jax.inference.flow import Flow
from msflow_jax.inference.reported import rows_of
from msflow_jax.inference.translated import moments, spread_levels
from msflow_jax.serving.pictures import address, addresses
from msflow_jax.serving.uploads import read_upload

Answer = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What a request asks.

    Attributes:
        given: parameters of the endpoint.
        content: bytes of the file that was sent.
    """

    given: Mapping[str, Any]
    content: bytes = b""


def read(asked: Asked, info: Any) -> tuple[Any, list[str]]:
    """The images of a request, and lines of warning; see :func:`read_upload`."""
    return read_upload(asked.content, asked.given["name"], info, asked.given["resize"])


def explain(flow: Flow, asked: Asked) -> Answer:
    """Of each image its likelihood map and its log-likelihood-ratio map as a picture, and their sums."""
    given = asked.given
    names = given["label"], given["against"]
    chosen = [int(flow.model.numbers([name])[0]) if name else None for name in names]
    if chosen[0] is not None and chosen[0] == chosen[1]:
        raise ValueError(f"label and against are both {given['label']}: choose two")
    seen, lines = read(asked, flow.info)
    prediction = flow.classify(seen.images)
    labels, others = choose_classes(prediction, *chosen)
    found = flow.explain(seen.images, labels, others, spread=given["spread"])
    images = [
        {
            "name": seen.names[i], "prediction": prediction.names[i],
            "class": flow.classes[labels[i]], "against": flow.classes[others[i]],
            "log_likelihood_of_class": float(found.map[i].sum(dtype=np.float64)),
            "log_likelihood_ratio": float(found.log_ratio[i].sum(dtype=np.float64)),
            "picture": address(
                panels(seen.images[i], found.map[i], found.log_ratio[i], flow.info.spacing)
            ),
        }
        for i in range(len(seen.images))
    ]  # fmt: skip
    return {"images": images, "warnings": lines}


def generate(flow: Flow, asked: Asked) -> Answer:
    """Images of a class; of a model of several modalities images and reports that belong together."""
    given = dict(asked.given)
    own = {name: given.pop(name) for name in ("label", "text", "modalities", "count", "seed")}
    if not draws_modalities(flow.model):
        if own["text"] or own["modalities"]:
            raise ValueError("text and modalities are for models of several modalities")
        if not own["label"]:
            raise ValueError(f"label is missing: choose one of {', '.join(flow.classes)}")
        # Sizes are few, so that few programs are compiled; each image is by its own number.
        many = flow.generate(own["label"], up(own["count"]), seed=own["seed"], **given)
        pictures = addresses(many[: own["count"]], flow.info.spacing)
        name = flow.classes[flow.model.numbers([own["label"]])[0]]
        return {"class": name, "step": flow.drawing_step, "pictures": {name: pictures}}
    if own["label"]:
        raise ValueError("label is for models of classes: give text, or modalities")
    return _drawn_together(flow, own, given)


def _drawn_together(flow: Flow, own: Mapping[str, Any], given: Mapping[str, Any]) -> Answer:
    text = together.text_of(flow.model)
    sources = {}
    if own["text"]:
        flow.require("report")
        sources = {text: flow.parts.tokeniser.encode([own["text"]], "the given text")}
    wanted = [one.strip() for one in own["modalities"].split(",") if one.strip()]
    names = wanted or together.usual(flow.model, text if own["text"] else "")
    found = flow.generate_modalities(
        names, own["count"], sources=sources, seed=own["seed"], **given
    )
    pictures = {
        name: addresses(images, flow.info.of_modality(name).spacing)
        for name, images in found.images.items()
    }
    routes = together.routes(flow.model, [*sources, *names])
    return {"pictures": pictures, "texts": dict(found.texts), "routes": routes}


def translate(flow: Flow, asked: Asked) -> Answer:
    """Of each image mean, spread and samples of another modality."""
    given = dict(asked.given)
    source, target = _modality(flow, given.pop("source"), "source"), given.pop("target")
    drawn = flow.info.of_modality(_modality(flow, target, "target"))
    shown = flow.info.of_modality(source)
    seen, lines = read(asked, shown)
    if words := given.pop("instruction"):
        instruct = getattr(flow.parts, "instruct", lambda text, *route: text)
        given["instruction"] = instruct(words, source, target)
    draws, seed = given.pop("draws"), given.pop("seed")
    settings = {name: value for name, value in given.items() if name not in ("name", "resize")}
    # The slices of a volume have one noise in each draw.
    of = [volume or name for volume, name in zip(seen.series, seen.names, strict=True)]
    sources = {source: seen.images}
    found = flow.translate(sources, target, draws=draws, seed=seed, groups=of, **settings)
    images, pictures = [], addresses(seen.images, shown.spacing)
    for i, name in enumerate(seen.names):
        mean, deviation = moments(found[:, i])
        levels = [np.rint(mean).astype(np.uint8), spread_levels(deviation)]
        drawn_mean, spread = addresses(np.stack(levels), drawn.spacing)
        images.append({
            "name": name, "picture": pictures[i], "mean": drawn_mean, "spread": spread,
            "mean_spread": float(deviation.mean() / 255),
            "samples": addresses(found[:, i], drawn.spacing),
        })  # fmt: skip
    route = flow.model.route_words(source, target)
    return {"images": images, "route": route, "target": target, "warnings": lines}


def report(flow: Flow, asked: Asked) -> Answer:
    """Of each image reports, and how much they agree."""
    given = asked.given
    source = _modality(flow, given["source"], "source")
    seen, lines = read(asked, flow.info.of_modality(source))
    texts, logs = flow.report(
        {source: seen.images}, draws=given["draws"], seed=given["seed"], steps=given["steps"]
    )
    route = flow.model.route_words(source, "report")
    pictures = addresses(seen.images, flow.info.of_modality(source).spacing)
    rows = [
        {**row, "picture": picture, "drafts": [one[i] for one in texts]}
        for i, (row, picture) in enumerate(
            zip(rows_of(seen.names, route, texts, logs), pictures, strict=True)
        )
    ]
    return {"images": rows, "warnings": lines}


def _modality(flow: Flow, name: str, what: str) -> str:
    """A modality of the model, which has to be named.

    Raises:
        ValueError: none, or an unknown one.
    """
    if not name:
        raise ValueError(f"{what} is missing: choose one of {', '.join(flow.model.modalities)}")
    flow.model.require(name)
    return name


def up(count: int) -> int:
    """The next power of two."""
    return 1 << (count - 1).bit_length()


def padded(images: np.ndarray) -> np.ndarray:
    """Images, and the last one again up to a power of two, so that few sizes are compiled."""
    more = up(len(images)) - len(images)
    return np.concatenate([images, np.repeat(images[-1:], more, axis=0)])
