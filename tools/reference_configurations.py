"""The pages docs/reference/configurations: one for each file in configs/, from it and its values."""

import ast
import functools
import importlib.util
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reference_tables import CHOOSES, MADE, table

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
PART = "configurations"
# Lines of a docstring that begin so are items of a list; the others go on where the last one stopped.
_ITEM = re.compile(
    r"(Paper|Published|Data|First|Command|On two cores|Measured.*?|Results of ours|Training set):"
    r"(?: (.*)|$)"
)
_TYPED = ("First", "Command")
_VARIANT = re.compile(r"(?:(?<=\.py)|(?<=[\s(])):([a-z_]+)")
_FAMILIES = {
    "symmetric": "symmetric flows ([streams with clocks](../../streams.md))",
    "coupling": "[coupling flows](../../coupling.md)",
    "diffusers": "[MedM2G](../../medm2g.md)",
    "synergy": "[SynerMedGen](../../synermedgen.md)",
}
_MORE = "([more](../../data_and_devices.md))"
_NONE = "none: head phantoms are made when it starts, nothing is downloaded"
_DATA = {
    "phantoms": _NONE,
    "phantom_cohort": _NONE,
    "masks": "images of your own with masks: a folder with images/ and masks/"
    " ([more](../../segmentation.md))",
    "cohort": f"examinations of your own: a table, or a folder in the BIDS layout {_MORE}",
    "folder": f"images of your own: a folder with a sub-folder for each class {_MORE}",
    "own": f"images of your own: a folder with a sub-folder for each class, or a CSV {_MORE}",
}


def words(file: Path) -> tuple[str, list[tuple[str, str]]]:
    """The first line of a configuration's docstring, and the others as pairs of a heading and text.

    Text without a heading has "". A line that ends in a backslash goes on in the next one.
    """
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    title, _, rest = text.replace("\\\n", "").partition("\n")
    items: list[tuple[str, str]] = []
    for line in rest.strip().splitlines():
        if found := _ITEM.match(line):
            items.append((found[1], (found[2] or "").strip()))
        elif items and items[-1][0] not in _TYPED:  # what is typed is one line
            items[-1] = (items[-1][0], f"{items[-1][1]} {line.strip()}")
        else:
            items.append(("", line.strip()))
    return title, items


def linked(text: str) -> str:
    """Text in which a page of docs/ that is named is a link, and what is typed is code."""
    text = text.replace("[", "\\[")
    text = re.sub(r"(?<![\w/])docs/([\w/]+\.md)", r"[\1](../../\1)", text)
    return re.sub(
        r"(?<![\w`/])((?:configs/)?\w+\.py(?::\w+)?|:[a-z_+]+\b|--config\.[^\s,;]+)", r"`\1`", text
    )


def variants(file: Path) -> list[str]:
    """The variants that a configuration's docstring names.

    Raises:
        ValueError: it takes a variant and names none.
    """
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not inspect.signature(module.get_config).parameters:
        return []
    found = list(dict.fromkeys(_VARIANT.findall(module.__doc__ or "")))
    if not found:
        raise ValueError(f"{file}: the docstring names no variant that get_config takes")
    return found


def values(file: Path, variant: str = "") -> Mapping[str, Any]:
    """Every value of a configuration by its dotted key."""
    from msflow_jax.config import load_config
    from msflow_jax.settings import leaves

    return dict(leaves(load_config([f"--config={file}{variant and ':' + variant}"])))


def defaults(own: Mapping[str, Any]) -> Mapping[str, Any]:
    """The defaults of the family and the networks that these values choose."""
    from msflow_jax.config import default_config
    from msflow_jax.families import get_family
    from msflow_jax.settings import leaves

    name = own["model.family"]
    config, key = default_config(name), CHOOSES.get(name, "")
    if key:
        with config.unlocked():
            get_family(name).choose(config, key, own[key])
    return dict(leaves(config))


def difference(own: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Rows of key, value and the other's value, of those that are not equal."""
    keys = [k for k, v in own.items() if k != "model.family" and (k not in other or other[k] != v)]
    was = {key: f"`{other[key]!r}`" if key in other else "" for key in keys}
    return [(f"`{key}`", f"`{own[key]!r}`", was[key]) for key in keys]


def _of_data(name: str, side: int) -> str:
    """Where the data of this name come from.

    Raises:
        ValueError: neither a source that is listed here nor a set of MedMNIST.
    """
    from msflow_jax.data.sources.medmnist.names import is_set

    if name in _DATA:
        return _DATA[name]
    if not is_set(name):
        raise ValueError(
            f"data.name={name}: say in _DATA of {Path(__file__).name} where they come from"
        )
    archive = name if side in (0, 28) else f"{name}_{side}"
    return (
        f"`{archive}.npz` in `--config.data.root` or `~/.medmnist`, or the download that"
        f" `--config.data.download=True` allows {_MORE}"
    )


def needs(own: Mapping[str, Any], said: str) -> list[str]:
    """What data, weights and packages a configuration asks for, and what it says of its data itself."""
    source = _of_data(own["data.name"], own["data.side"])
    items = [f"* **Data**: {source}. {said[:1].upper()}{said[1:]}".strip()]
    weights = own.get("model.latent.autoencoder", "")
    if weights == "patches":
        items += [
            "* **Autoencoder**: none, principal components are fitted to the training images."
        ]
    elif weights:
        items += [f"* **Autoencoder**: `{weights}` ([how to make it](../../latent.md))."]
    if "report" in own.get("model.modalities", ()):
        items += ["* **Packages**: `pip install '.[text]'` for reports."]
    return items


def page(file: Path) -> str:
    """The page of a configuration."""
    title, items = words(file)
    own = values(file)
    text = [f"# `{file.stem}`\n", MADE, f"{linked(title)}\n"]
    commands = [f"{body}\n" for heading, body in items if heading in _TYPED]
    text += ["```sh\n" + "".join(commands) + "```\n"]
    said = " ".join(body for heading, body in items if heading == "Data")
    points = [f"* **Family**: {_FAMILIES[own['model.family']]}.", *needs(own, said)]
    for heading, body in items:
        if heading not in (*_TYPED, "Data"):
            points.append(
                f"* **{linked(heading)}**: {linked(body)}" if heading else f"* {linked(body)}"
            )
    text += ["\n".join(points) + "\n"]
    text += ["## Set apart from the defaults\n"]
    text += ["What each key means: [every setting](../configuration.md).\n"]
    text += [table(("key", "here", "default"), difference(own, defaults(own)))]
    for variant in variants(file):
        rows = difference(values(file, variant), own)
        text += [f"## `:{variant}`\n", table(("key", f"with `:{variant}`", "without"), rows)]
    return "\n".join(text)


def overview(files: list[Path]) -> str:
    """The list of all configurations."""
    text = [
        "# Every configuration\n",
        MADE,
        "`msflow configs` prints this list, and `--config=NAME` takes a name of it in any folder. A "
        "variant is given behind a colon, `--config=NAME:cpu`, and `--config.KEY=VALUE` changes any "
        "value.\n",
    ]
    rows = [
        (
            f"[`{f.stem}`]({f.stem}.md)",
            linked(words(f)[0]),
            ", ".join(f"`:{v}`" for v in variants(f)) or "",
        )
        for f in files
    ]
    return "\n".join([*text, table(("name", "is", "variants"), rows)])


def pages() -> dict[str, Callable[[], str]]:
    """What makes each page, by its path below docs/reference."""
    files = sorted(CONFIGS.glob("*.py"))
    return {
        f"{PART}/index.md": lambda: overview(files),
        **{f"{PART}/{file.stem}.md": functools.partial(page, file) for file in files},
    }
