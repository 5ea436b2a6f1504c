"""What endpoints answer, but for classification: files and parameters in, what JSON can carry out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.data import Info
from msflow_jax.families import draws_modalities
from msflow_jax.inference import together
from msflow_jax.inference.explained import choose_classes, draw, scales
from msflow_jax.inference.flow import Flow
from msflow_jax.inference.reported import rows_of
from msflow_jax.inference.standing_drawings import warnings_of_drawings
from msflow_jax.inference.standing_routes import read_standing
from msflow_jax.inference.translated import mean_spread, moments, read_sources, spread_levels
from msflow_jax.serving.parameters import seed_of
from msflow_jax.serving.pictures import address_of, addresses
from msflow_jax.serving.uploads import lying, read_upload, refuse_many

Answer = dict[str, Any]
MOST_WORK = 50_000  # evaluations of the network that one request may ask for
MOST_SHOWN = 16  # slices of a volume that are sent back


@dataclass(frozen=True)
class Asked:
    """What a request asks.

    Attributes:
        given: parameters of the endpoint.
        content: bytes of the file that was sent.
        files: names and bytes of those that a form had, which stand in place of the content.
    """

    given: Mapping[str, Any]
    content: bytes = b""
    files: Sequence[tuple[str, bytes]] = ()


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
    many = padded(seen.images)
    prediction = flow.classify(many, draws=1)  # the first, which the maps are of
    labels, others = choose_classes(prediction, *chosen)
    found = flow.explain(many, labels, others, spread=given["spread"])
    count = len(seen.images)
    limits = scales(found.map[:count], found.log_ratio[:count])
    images = [
        {
            "name": seen.names[i], "prediction": prediction.names[i],
            "class": flow.classes[labels[i]], "against": flow.classes[others[i]],
            "log_likelihood_of_class": float(found.map[i].sum(dtype=np.float64)),
            "log_likelihood_ratio": float(found.log_ratio[i].sum(dtype=np.float64)),
            "picture": address_of(draw(
                seen.images[i], found.map[i], found.log_ratio[i],
                (flow.classes[labels[i]], flow.classes[others[i]]), limits, flow.info.spacing,
            )),
        }
        for i in range(count)
    ]  # fmt: skip
    return {"images": images, "warnings": lines}


def generate(flow: Flow, asked: Asked) -> Answer:
    """Images of a class; of a model of several modalities images and reports that belong together.

    With what the standing evaluation warns of in drawings, as ``msflow generate`` prints it.
    """
    given = dict(asked.given)
    own = {name: given.pop(name) for name in ("label", "text", "modalities", "count", "seed")}
    refuse_long(own["count"], 1, given["steps"])
    if not draws_modalities(flow.model):
        if own["text"] or own["modalities"]:
            raise ValueError("text and modalities are for models of several modalities")
        if not own["label"]:
            raise ValueError(f"label is missing: choose one of {', '.join(flow.classes)}")
        # Sizes are few, so that few programs are compiled; each image is by its own number.
        many = flow.generate(own["label"], up(own["count"]), seed=seed_of(own["seed"]), **given)
        pictures = addresses(many[: own["count"]], flow.info.spacing)
        name = flow.classes[flow.model.numbers([own["label"]])[0]]
        lines = warnings_of_drawings(flow.path)
        drawn = {"class": name, "step": flow.drawing_step, "pictures": {name: pictures}}
        return {**drawn, "warnings": lines}
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
    count = own["count"]
    found = flow.generate_modalities(
        names, up(count), sources=sources, seed=seed_of(own["seed"]), **given
    )
    pictures = {
        name: addresses(images[:count], flow.info.of_modality(name).spacing)
        for name, images in found.images.items()
    }
    texts = {name: written[:count] for name, written in found.texts.items()}
    routes = together.routes(flow.model, [*sources, *names])
    lines = warnings_of_drawings(flow.path)
    return {"pictures": pictures, "texts": texts, "routes": routes, "warnings": lines}


def translate(flow: Flow, asked: Asked) -> Answer:
    """Of each image, or of some slices of a volume, mean, spread and samples of another modality."""
    given = dict(asked.given)
    source, shown = _modality(flow, given.pop("source"), "source")
    target, drawn = _modality(flow, given.pop("target"), "target")
    name, resize = given.pop("name"), given.pop("resize")
    if words := given.pop("instruction"):
        instruct = getattr(flow.parts, "instruct", lambda text, *route: text)
        given["instruction"] = instruct(words, source, target)
    # As the command reads it: of a volume all slices, which have one noise in each draw.
    with lying(asked.content, name) as path:
        seen = read_sources(flow, str(path), source, target, resize=resize, file_format="")
    count, draws, seed = len(seen.images), given.pop("draws"), seed_of(given.pop("seed"))
    refuse_many(count, name)
    refuse_long(count, draws, given["steps"])
    more, of = up(count) - count, np.arange(count) if seen.volumes is None else seen.volumes
    groups = np.concatenate([of, np.full(more, -1)])  # what fills the batch is of no volume
    many = {source: padded(seen.images)}
    found = flow.translate(many, target, draws=draws, seed=seed, groups=groups, **given)[:, :count]
    names = [
        part if rows.stop - rows.start == 1 else f"{part}, slice {i}"
        for part, rows, _ in seen.parts for i in range(rows.stop - rows.start)
    ]  # fmt: skip
    kept = np.unique(np.linspace(0, count - 1, min(count, MOST_SHOWN)).round().astype(int))
    lines = [f"{len(kept)} of {count} slices are shown"] if len(kept) < count else []
    standing = read_standing(flow.path)
    lines += standing.of_source(seen, source)
    lines += standing.of_route(source, target, flow.step, flow.digest)
    images, pictures = [], addresses(seen.images[kept], shown.spacing)
    for i, picture in zip(kept, pictures, strict=True):
        mean, deviation = moments(found[:, i])
        (drawn_mean,) = addresses(np.rint(mean).astype(np.uint8)[None], drawn.spacing)
        spread = None if deviation is None else spread_levels(deviation)
        images.append({
            "name": names[i], "picture": picture, "mean": drawn_mean,
            "spread": None if spread is None else addresses(spread[None], drawn.spacing)[0],
            "mean_spread": mean_spread(deviation),
            "samples": addresses(found[:, i], drawn.spacing),
        })  # fmt: skip
    route = flow.model.route_words(source, target)
    return {"images": images, "route": route, "target": target, "warnings": lines}


def report(flow: Flow, asked: Asked) -> Answer:
    """Of each image reports, and how much they agree."""
    given = asked.given
    source, info = _modality(flow, given["source"], "source")
    seen, lines = read(asked, info)
    count, draws = len(seen.images), given["draws"]
    refuse_long(count, draws, given["steps"])
    lines += read_standing(flow.path).unlike_read(seen, source)
    many = {source: padded(seen.images)}
    texts, logs = flow.report(many, draws=draws, seed=seed_of(given["seed"]), steps=given["steps"])
    texts = [one[:count] for one in texts]
    route = flow.model.route_words(source, "report")
    pictures = addresses(seen.images, info.spacing)
    rows = [
        {
            **row,
            "picture": picture,
            "drafts": [one[i] for one in texts],
        }
        for i, (row, picture) in enumerate(
            zip(rows_of(seen.names, route, texts, logs[:, :count]), pictures, strict=True)
        )
    ]
    return {"images": rows, "warnings": lines}


def _modality(flow: Flow, name: str, what: str) -> tuple[str, Info]:
    """A modality of images, which has to be named, and the facts on them.

    Raises:
        ValueError: none, an unknown one, or text.
    """
    if not name:
        raise ValueError(f"{what} is missing: choose one of {', '.join(flow.pictured)}")
    return name, flow.images_of(name)


def refuse_long(count: int, draws: Any, steps: Any) -> None:
    """Raises a ValueError for work that would hold all others up.

    Args:
        count: images.
        draws: draws of each, as asked; 0 is few.
        steps: solver steps, as asked; 0 is few.
    """
    if (work := count * max(1, draws) * max(1, steps)) > MOST_WORK:
        raise ValueError(
            f"{count} images, {max(1, draws)} draws and {max(1, steps)} steps are {work} evaluations of "
            f"the network, and one request may ask for {MOST_WORK}: ask for less, or use the command"
        )


def up(count: int) -> int:
    """The next power of two."""
    return 1 << (count - 1).bit_length()


def padded(images: np.ndarray) -> np.ndarray:
    """Images, and the last one again up to a power of two, so that few sizes are compiled."""
    more = up(len(images)) - len(images)
    return np.concatenate([images, np.repeat(images[-1:], more, axis=0)])
