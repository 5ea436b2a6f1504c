"""The page that a service shows: one file that asks nothing of any other place."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from msflow_jax import __version__
from msflow_jax.families import settings_of
from msflow_jax.inference.answered import MODALITY
from msflow_jax.serving.parameters import ENDPOINTS, Parameter, takes_file, takes_form
from msflow_jax.serving.service import Service
from msflow_jax.streams import JUMP

_TEMPLATES = ("msflow_jax.serving", "msflow_jax.reports")  # with the style sheet of the latter
_LANGUAGES = {"script": "page.js", "style": "page.css"}
_TITLES = {
    "classify": ("Classify", "Classify an image", "Classify"),
    "segment": ("Segment", "Segment an image", "Segment"),
    "explain": ("Explain", "See why: likelihood maps", "Explain"),
    "generate": ("Draw", "Draw images", "Draw"),
    "translate": ("Translate", "Draw another modality of an image", "Translate"),
    "report": ("Report", "Write a report of an image", "Write"),
    "answer": ("Ask", "Ask which modality, or which of several images", "Ask"),
}
_SLIDERS = {"keep": (0.05, 1), "coverage": (0, 0.99), "guidance": (0, 10)}
_STEPPED = ("steps", "draws")  # sliders over the numbers that may be given
# What stands beside the button; the rest is behind "Settings".
_FIRST = (
    "label",
    "text",
    "modalities",
    "source",
    "target",
    "modality",
    "task",
    "options",
    "count",
    "steps",
    "guidance",
)


class Page:
    """The page of a service, made once.

    Attributes:
        html: the page.
        headers: what it is sent with: a browser runs and loads what is in it, and nothing else.
        facts: what the model is, and can.
    """

    def __init__(self, service: Service):
        flow = service.flow
        self.facts: dict[str, Any] = {
            "version": __version__, "model": service.name, "family": flow.family.name,
            "step": flow.step, "endpoints": list(service.endpoints), "classes": list(flow.classes),
            "modalities": list(getattr(flow.model, "modalities", {})),
            "evaluation": service.evaluation,
        }  # fmt: skip
        environment = Environment(
            loader=ChoiceLoader([PackageLoader(name) for name in _TEMPLATES]),
            autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        code = {kind: environment.get_template(file).render() for kind, file in _LANGUAGES.items()}
        self.html = environment.get_template("page.html").render(
            facts=self.facts, code=code, phantom=flow.info.name.startswith("phantom"),
            sections=[self._section(name, service) for name in service.endpoints],
        )  # fmt: skip
        allowed = "; ".join(f"{kind}-src '{_digest(text)}'" for kind, text in code.items())
        self.headers = {
            "content-security-policy": f"default-src 'none'; {allowed}; img-src data: blob:; "
            "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
        }

    def _section(self, name: str, service: Service) -> Mapping[str, Any]:
        """What the template needs of an endpoint."""
        short, heading, button = _TITLES[name]
        fields = [
            self._field(name, key, one, service)
            for key, one in ENDPOINTS[name].items()
            if key != "name" and self._has(name, key, service)
        ]
        first = [one for one in fields if one["key"] in _FIRST]
        return {
            "name": name, "short": short, "heading": heading, "button": button,
            "file": takes_file(name), "several": takes_form(name),
            "first": first if name != "classify" else [],
            "rest": [one for one in fields if name == "classify" or one not in first],
        }  # fmt: skip

    def _has(self, endpoint: str, key: str, service: Service) -> bool:
        """Whether a parameter means something to this model."""
        flow = service.flow
        several = bool(self.facts["modalities"])
        if endpoint == "generate" and key in ("text", "modalities", "label"):
            return several == (key != "label")
        if key == "modality":
            return several
        if key == "near":
            return service.near is not None
        if key == "guidance" and not getattr(flow.model, "code_dropout", True):
            return False
        if key in ("guidance", "temperature", "solver", "draws", "steps") and endpoint != "report":
            own = settings_of(getattr(flow.model, endpoint))
            return key in own or (endpoint, key) == ("translate", "draws")
        return key != "instruction" or hasattr(flow.parts, "instruct")

    def _field(
        self, endpoint: str, key: str, one: Parameter, service: Service
    ) -> Mapping[str, Any]:
        """One input: its kind, and what may be chosen."""
        flow, facts = service.flow, self.facts
        choices: list[Any] = [] if key == "guidance" else list(one.among)
        if key == "solver" and not flow.config.model.get("distillation", {}).get("teacher"):
            choices.remove(JUMP)
        if key in ("label", "against"):
            choices = [*([""] if endpoint == "explain" else []), *facts["classes"]]
        if key in ("source", "target", "modality"):
            choices = list(flow.pictured)
        if key == "task":
            choices = [MODALITY, *flow.parts.asks]
        if key == "measure":
            choices = [name for name in flow.calibration.thresholds if name != "coverage"]
            choices = choices or [str(one.default)]
        kind = {bool: "checkbox", str: "text", int: "number", float: "number"}[type(one.default)]
        stops = choices if key in _STEPPED else []
        low, high = (0, len(stops) - 1) if stops else _SLIDERS.get(key, (one.low, one.high))
        slides = bool(stops) or key in _SLIDERS
        return {
            "key": key, "words": one.words, "default": one.default, "choices": choices,
            "kind": "range" if slides else "select" if choices else kind, "stops": stops,
            "value": (value := self._value(key, one, service)), "low": low, "high": high,
            "place": stops.index(value) if stops else value, "tasks": one.tasks,
            "step": 0.5 if key == "guidance" else 1 if type(one.default) is int else 0.01,
        }  # fmt: skip

    def _value(self, key: str, one: Parameter, service: Service) -> Any:
        """What an input begins with: sets are shown where they are calibrated."""
        return 0.9 if key == "coverage" and service.flow.calibration.conformal else one.default


def _digest(text: str) -> str:
    """How a policy names a script or style sheet that may stand in the page."""
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
