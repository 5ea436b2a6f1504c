"""A verb of a trained model as one program for other machines: StableHLO, without this library."""

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from msflow_jax import __version__
from msflow_jax.data.base import Info
from msflow_jax.data.batches import grey_levels
from msflow_jax.families import choose_settings
from msflow_jax.inference.flow import Flow
from msflow_jax.inference.kinds import other_settings
from msflow_jax.inference.runners import classifying, generating
from msflow_jax.inference.settings import prior_weights
from msflow_jax.storage.archives import file_sha256
from msflow_jax.storage.jsons import write_json
from msflow_jax.storage.places import expand

PLATFORMS = ("cpu", "cuda", "tpu")
PROGRAM, PARAMETERS, FACTS, LOADER = FILES = (
    "program.stablehlo", "parameters.safetensors", "export.json", "load.py",
)  # fmt: skip
VERBS = ("classify", "generate")
_LEAST = 1e-30  # probability of which a logarithm is taken
_SYMBOL = re.compile(
    r"DimExpr|symbolic|\bbatch\b", re.IGNORECASE
)  # in errors on a size of any number


def export(flow: Flow, verb: str, folder: Path, *, batch: int = 0, **requested: Any) -> Any:
    """Writes ``FILES`` to a folder, and returns their facts.

    Args:
        flow: a trained model.
        verb: one of ``VERBS``. ``classify`` takes images uint8 ``[B, *shape]`` and gives calibrated
            ``probability [B, K]``, ``distance [B, K]``, ``prediction [B]`` and ``uncertainty [B]``, the
            distance of the prediction. ``generate`` takes class numbers int32 ``[B]`` and numbers of
            drawings int32 ``[B]``, and gives images uint8.
        folder: a folder that is there.
        batch: images of a call; 0: any number.
        **requested: settings of the verb; 0 or empty: as evaluated, or as configured.

    Raises:
        ValueError: a verb that the model has not or that is not exported, a setting it has not, or a
            model whose program needs a fixed ``batch``.
        ModuleNotFoundError: flatbuffers is not installed.
    """
    from safetensors.numpy import save

    folder = expand(folder)
    function, inputs, about = describe(flow, verb, requested)
    params = flow.params if verb == "classify" else flow.drawing_params
    text = _serialized(function, params, inputs, batch)
    (folder / PROGRAM).write_bytes(text)
    leaves = {"/".join(path): np.asarray(leaf) for path, leaf in flatten_dict(params).items()}
    (folder / PARAMETERS).write_bytes(save(leaves))  # save_file would let nobody else read it
    facts = {
        "platforms": list(PLATFORMS), "batch": batch or "any", **about,
        "sha256": {name: file_sha256(folder / name) for name in (PROGRAM, PARAMETERS)},
    }  # fmt: skip
    write_json(folder / FACTS, facts)
    source = Path(__file__).with_name("exported_loader.py").read_text(encoding="utf-8")
    (folder / LOADER).write_text(source, encoding="utf-8")
    return facts


def describe(flow: Flow, verb: str, requested: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """A verb as a function, in whatever format it is to be written.

    Args:
        flow: a trained model.
        verb: one of ``VERBS``.
        requested: settings of the verb.

    Returns:
        The function of parameters and arrays that gives a dict of arrays, name, dtype and shape without
        batch of each of these arrays, and the facts that go with it.

    Raises:
        ValueError: a verb that the model has not or that is not exported, or a setting it has not.
    """
    if verb not in VERBS:
        raise ValueError(f"--verb={verb}: exported are {' and '.join(VERBS)}")
    flow.require(verb)
    function, inputs, outputs, settings = _PROGRAMS[verb](flow, requested)
    facts = {
        "verb": verb, "settings": settings,
        "inputs": [{"name": n, "dtype": d, "shape": ["batch", *s]} for n, d, s in inputs],
        "outputs": outputs, "classes": list(flow.classes),
        "step": flow.drawing_step if verb == "generate" else flow.step,
        "versions": {"jax": jax.__version__, "msflow_jax": __version__},
        "images": _reading(flow.info, getattr(flow.model, "modalities", ())),
    }  # fmt: skip
    if verb == "classify":
        known = flow.calibration
        why = known.reason.partition(" (msflow ")[0]  # the command names the workdir's place
        facts |= {"calibrated_by": str(known) or why, "abstain": _abstain(flow)}
        facts["warnings"] = other_settings(known.settings, requested)
    return function, inputs, facts


def _reading(info: Info, used: Collection[str] = ()) -> dict[str, Any]:
    """How files become the images of a program, or what drawn ones show: a program takes any uint8.

    Of several modalities each has its own intensity, under ``modalities``: of those that a model uses,
    where it says which (data may have others).
    """
    named = [
        name for name, one in info.modalities.items()
        if one.kind == "image" and (not used or name in used)
    ]  # fmt: skip
    if "image" in named:
        how = _grey(info, "image")
    else:
        how = {"modalities": {name: _grey(info, name) for name in named}}
    return {
        **how, "fit": info.fit, "spacing": list(info.spacing) or None,
        "volumes": dict(info.volumes),
    }  # fmt: skip


def _grey(info: Info, name: str) -> dict[str, Any]:
    intensity = info.intensity(name)
    return {"intensity": intensity.to_dict(), "in_words": intensity.describe()}


def _serialized(
    function: Callable[..., Any], params: Any, inputs: list[tuple[str, str, tuple[int, ...]]],
    batch: int,
) -> bytes:  # fmt: skip
    """The program for all platforms."""
    from jax import export as exporting

    try:
        import flatbuffers  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "an exported program is written with flatbuffers, which is not installed: "
            "pip install 'msflow_jax[export]'"
        ) from error
    # Empty dicts have no leaf, and would be missing when the parameters are read again.
    params = unflatten_dict(flatten_dict(params))
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), params)
    with leading_side(batch, "the program") as side:
        given = [jax.ShapeDtypeStruct((side, *shape), jnp.dtype(d)) for _, d, shape in inputs]
        made = exporting.export(jax.jit(function), platforms=PLATFORMS)(like, *given)
    return bytes(made.serialize())


@contextmanager
def leading_side(batch: int, what: str) -> Iterator[Any]:
    """The first side of arrays that a model is traced with: a number, or a symbol for any.

    Args:
        batch: the number; 0: any.
        what: what is made, for errors.

    Raises:
        ValueError: the model cannot be traced with a symbol; other errors stay as they are.
    """
    from jax import export as exporting

    (side,) = (batch,) if batch else exporting.symbolic_shape("batch")
    try:
        yield side
    except (TypeError, jax.errors.InconclusiveDimensionOperation) as error:
        if batch or (isinstance(error, TypeError) and not _SYMBOL.search(str(error))):
            raise
        raise ValueError(
            f"{what} of this model is of one number of images: give it by --batch"
        ) from error


def _classify(flow: Flow, requested: dict[str, Any]) -> tuple[Any, ...]:
    sample, known = flow.config.sample, flow.calibration
    given = {**sample.classify.to_dict(), **known.settings}
    settings = choose_settings(flow.model, "classify", given, requested)
    weights = prior_weights(flow, given.get("prior", "natural"))
    run = classifying(
        flow.model, jax.random.key(sample.seed), sample.overlap, weights=weights, **settings
    )
    temperature, bias = (
        known.temperature,
        jnp.asarray([list(known.bias)] if known.bias else [[0.0]]),
    )

    def function(params: Any, images: jax.Array) -> dict[str, jax.Array]:
        found = run(params, images, jnp.arange(images.shape[0]))
        logs = (
            -found.distances if found.in_nats else jnp.log(jnp.maximum(found.probabilities, _LEAST))
        )
        logs = jax.nn.log_softmax(logs / temperature + bias[None])
        probability = jnp.exp(logs).mean(axis=0)
        # As Prediction.scaled: distances in nats follow, and all do where classes have a bias.
        distance = found.distances.mean(axis=0)
        if found.in_nats:
            distance = -logs.mean(axis=0)
        elif known.bias:
            distance = -jnp.log(probability)
        return {
            "probability": probability, "distance": distance,
            "prediction": distance.argmin(axis=1).astype(jnp.int32),
            "uncertainty": distance.min(axis=1),
        }  # fmt: skip

    inputs = [("images", "uint8", tuple(flow.info.shape))]
    outputs = {
        "probability": "of each class, calibrated", "distance": "to the code of each class",
        "prediction": "number of the class", "uncertainty": "distance of the prediction",
    }  # fmt: skip
    return function, inputs, outputs, settings


def _generate(flow: Flow, requested: dict[str, Any]) -> tuple[Any, ...]:
    flow.require_classes()
    settings = flow.settings("generate", requested)
    run = generating(flow.model, jax.random.key(flow.config.sample.seed), **settings)

    def function(params: Any, labels: jax.Array, numbers: jax.Array) -> dict[str, jax.Array]:
        images = run(params, labels, numbers)
        return {"images": grey_levels(images)}

    inputs = [("labels", "int32", ()), ("numbers", "int32", ())]
    return function, inputs, {"images": "of the classes; equal numbers, equal noise"}, settings


_PROGRAMS = {"classify": _classify, "generate": _generate}


def _abstain(flow: Flow) -> list[dict[str, float]]:
    """The uncertainty above which to abstain so that a share of validation images is kept."""
    known = flow.calibration
    shares = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    found = [(share, known.threshold("distance", share)) for share in shares] if known.known else []
    return [{"keep": share, "above": above} for share, above in found if above is not None]
