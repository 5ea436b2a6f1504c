"""What a family of models provides, and the list of families.

A family is a package ``msflow_jax/NAME/`` whose module ``family`` defines ``FAMILY``, and a line in
:data:`FAMILIES`. Everything else in the library goes through these methods and never tests which
family it has.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np
from ml_collections import ConfigDict

from msflow_jax.settings import ANY, Setting, like

Params = Any
FAMILIES = {
    "symmetric": "msflow_jax.symmetric.family",
    "coupling": "msflow_jax.coupling.family",
    "diffusers": "msflow_jax.diffusers.family",
    "synergy": "msflow_jax.synergy.family",
}
VERBS = ("classify", "segment", "generate", "explain", "translate", "report", "answer")
# What a caller gives to a verb beside its settings.
_GIVEN = ("index", "weights", "target", "modalities", "guides", "look")


class Model(Protocol):
    """A frozen dataclass of pure methods. It has the verbs that it has, of

    ``classify(params, images, key, *, index, weights, draws, **own) -> Prediction``,
    ``segment(params, images, key, *, index, draws, **own)`` -> probabilities ``[B, *space, K]``,
    ``generate(params, condition, key, *, index, **own)`` -> images ``[B, *shape]`` in [-1, 1],
    ``explain(params, images, key, labels, others, *, index, **own) -> Explanation``,
    ``translate(params, sources, key, *, target, index, **own)`` -> images ``[B, *shape]`` in [-1, 1],
    ``report(params, sources, key, *, index, **own)`` -> tokens ``[B, T]``, log-probability ``[B]``,
    ``answer(params, questions)`` -> logits by what is answered.

    Keyword-only parameters beside ``index`` and ``weights`` are the verb's settings. A model whose task
    leaves it fewer verbs than methods names those that are left: ``verbs``. One whose draws 0 and 1 of
    ``classify`` have opposite noise, 2 and 3 again, says ``opposite_draws``. One of several modalities
    draws those that a caller names: ``generate(params, sources, key, *, modalities, index, **own)`` ->
    images, or latents of reports, by name; ``write(params, latents)`` gives these as ``report`` does.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters; under ``jax.eval_shape`` nothing is drawn."""

    def loss(
        self, params: Params, batch: Mapping[str, Any], key: jax.Array, *, train: bool
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Scalar loss of a batch, and metrics."""


class Parts(Protocol):
    """What a model needs beside its own parameters: autoencoders, masks, encoded label pictures.

    Those that a fresh run may fit to its data, so that parameters mean something by them alone, have
    ``fitted(workdir)``, see :mod:`msflow_jax.training.fitted`.
    """

    @property
    def params(self) -> Mapping[str, Params]:
        """Frozen parameters, joined to the model's by name; {} for none."""

    def save(self, folder: Path) -> None:
        """Writes the parts into a workdir, replacing what a run without a checkpoint left there."""


class Section(Protocol):
    """One block of evaluation.json with its arrays; the report has a section of the same name."""

    @property
    def name(self) -> str:
        """Name of the block, and of the section of the report."""

    def __call__(self, run: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The block and the arrays of an :class:`~msflow_jax.inference.evaluation.Evaluation`."""


class Family(Protocol):
    """What a family provides.

    Attributes:
        name: name of the family.
        words: what the report calls things, such as ``{"distance": "negative log-posterior"}``.
        files: names in a workdir of what its parts write; a checkpoint knows their content.
        table: values and meaning of every setting of its own, of all its networks.

    Where a setting has an effect beside some others alone, ``limits`` says so, as
    :func:`msflow_jax.settings.limit` takes it. One whose models see larger images through windows, and
    say so by ``window``, has ``crops`` True. One that refuses what it once took has ``restore``, which
    changes it in the configuration of a kept run, and gives a line of each.
    """

    name: str
    words: Mapping[str, str]
    files: Sequence[str]
    table: Mapping[str, Setting]

    def settings(self) -> ConfigDict:
        """The parts ``model`` and ``sample`` of a configuration: a key that is not there is unknown."""

    def choose(self, config: ConfigDict, key: str, value: str) -> None:
        """Bring in the settings of another network where ``key`` chooses one."""

    def check(self, config: ConfigDict) -> None:
        """Raise a ValueError for a network, code or setting that does not exist; needs no data."""

    def upgrade(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration of format 1 (one union of all families' settings) as this version has it."""

    def fit_to(self, facts: Any, *, small: bool, memory: int) -> dict[str, Any]:
        """Settings by dotted key for the user's own images, see ``configs/own_images.py``.

        Args:
            facts: :class:`msflow_jax.data.sources.listings.look.Facts` of the images.
            small: whether for a few CPU cores.
            memory: bytes of the device.

        Raises:
            ValueError: the family chooses nothing.
        """

    def prepare(self, config: ConfigDict, splits: Any) -> Parts:
        """The parts of a fresh run: fits, converts, encodes; once, before training."""

    def load(self, config: ConfigDict, info: Any, folder: Path) -> Parts:
        """The parts as ``Parts.save`` wrote them; reads, and does nothing else."""

    def build(self, config: ConfigDict, info: Any, parts: Parts) -> Model:
        """The model of a configuration for data of this kind."""

    def stages(self, config: ConfigDict, splits: Any, parts: Parts, model: Any) -> Sequence[Any]:
        """How it is trained: :class:`msflow_jax.training.Stage` one after the other."""

    def sections(self, config: ConfigDict, stage: str = "") -> Sequence[Section]:
        """What an evaluation measures, in order; after the stage of this name, if one is given."""


def get_family(name: str) -> Family:
    """The family of this name.

    Raises:
        ValueError: an unknown one (the known ones are listed).
    """
    if name not in FAMILIES:
        known = ", ".join(map(repr, FAMILIES))
        raise ValueError(f"unknown model.family {name!r}: choose one of {known}")
    return importlib.import_module(FAMILIES[name]).FAMILY


def takes_crops(name: str) -> bool:
    """Whether the models of a family are trained on random crops where ``train.crop`` says so."""
    return getattr(get_family(name), "crops", False)


def verbs_of(model: Any) -> tuple[str, ...]:
    """What a model can do, of :data:`VERBS`: the verbs that it names, or else those that it has."""
    return tuple(getattr(model, "verbs", None) or (v for v in VERBS if hasattr(model, v)))


def draws_modalities(model: Any) -> bool:
    """Whether ``generate`` of a model draws modalities that a caller names, not images of classes."""
    verb = getattr(model, "generate", None)
    return verb is not None and "modalities" in inspect.signature(verb).parameters


def require_verb(model: Any, verb: str, workdir: str) -> None:
    """Raises a ValueError that names the workdir where its model cannot do this."""
    if verb in (known := verbs_of(model)):
        return
    of_pixels = "segment" in known
    why = {
        "classify": "it has one class per pixel, not one per image" if of_pixels else "",
        "segment": "it has one class per image, not one per pixel",
        "generate": "it draws from label maps, not from class names" if of_pixels else "",
        "explain": "it has no likelihood to explain: train a coupling flow, magic_*",
        "translate": "it is of one modality: train a model of several, medm2g_*",
        "report": "it knows no reports: train a model that does, medm2g_*",
        "answer": "it was taught no questions: train a model that is, synermedgen_*",
    }[verb]
    since = f", since {why}" if why else ""
    listed = " of msflow configs" if "_*" in why else ""
    raise ValueError(
        f"the model of {workdir} cannot {verb}{since}{listed}; this one can {', '.join(known)}"
    )


def settings_of(verb: Callable[..., Any]) -> tuple[str, ...]:
    """Names of a verb's settings: its keyword-only parameters but for what every caller gives."""
    parameters = inspect.signature(verb).parameters.values()
    own = (p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
    return tuple(name for name in own if name not in _GIVEN)


def asked_for(requested: Mapping[str, Any]) -> dict[str, Any]:
    """What a caller asks for: None, empty and 0 ask for nothing."""
    return {name: value for name, value in requested.items() if np.size(value) > 1 or value}


def choose_settings(
    model: Any,
    verb: str,
    configured: Mapping[str, Any],
    requested: Mapping[str, Any] | None = None,
    ranges: Mapping[str, Setting] | None = None,
    part: str = "",
) -> dict[str, Any]:
    """Those of the settings that a verb of this model has, changed as the user requested.

    Args:
        model: a model of any family.
        verb: name of the verb, such as ``generate``.
        configured: settings of a configuration; those that the verb does not have are left out.
        requested: changes; a value that is None, empty or 0 changes nothing.
        ranges: settings by dotted key, such as ``Family.table``: what each takes.
        part: part of ``sample`` that the settings lie in; empty: that of the verb's name.

    Raises:
        ValueError: the model has no such verb, a setting was requested that the verb has not, or a value
            of another type than the usual one, not finite, or outside of the setting's range.
    """
    if not hasattr(model, verb):
        raise ValueError(f"this model has no verb {verb!r}: it cannot {verb}")
    known = settings_of(getattr(model, verb))
    changes = asked_for(requested or {})
    if unsupported := [name for name in changes if name not in known]:
        has = ", ".join(known) or "none"
        raise ValueError(f"{verb} of this model has no {unsupported[0]}: its settings are {has}")
    usual = {n: p.default for n, p in inspect.signature(getattr(model, verb)).parameters.items()}
    for name, value in changes.items():
        setting = (ranges or {}).get(f"sample.{part or verb}.{name}", ANY)
        changes[name] = like(name, value, configured.get(name, usual[name]), setting)
    return {name: value for name, value in {**configured, **changes}.items() if name in known}
