"""Write docs/reference, as the code has it: settings, measures, commands and configurations.

    python tools/make_reference.py
    python tools/make_reference.py --check

With --check nothing is written, and pages that are not up to date are an error.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reference_commands import commands
from reference_configurations import PART, pages
from reference_tables import CHOOSES, MADE, table

from msflow_jax.commands.common import parser, run

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"


def in_words(values: str) -> str:
    """Intervals as in the code, ``[1, inf)``, for readers: ``1 or more``."""
    words = {"[0, inf)": "0 or more", "[1, inf)": "1 or more", "(0, inf)": "above 0", "": "-"}
    parts = [words.get(p, p) for p in values.split(" or ")]
    return " or ".join(p.replace("(-inf, inf)", "any number") for p in parts)


def setting_rows(config: Any, known: Any, prefix: str) -> list[tuple[str, ...]]:
    """Rows of all settings below a prefix, in the order of the configuration."""
    from msflow_jax.settings import leaves

    rows = []
    for key, default in leaves(config):
        if key.startswith(prefix):
            kind = type(default).__name__.replace("tuple", "list")
            shown = f"`{default!r}`"
            rows.append((f"`{key}`", kind, shown, in_words(known[key].values), meaning(known[key])))
    return rows


def meaning(setting: Any) -> str:
    """What a setting is for, and beside which others alone."""
    if not setting.only:
        return setting.meaning
    words = (f"{'' if one.key else 'no effect: '}{one.in_words()}" for one in setting.only)
    return f"{setting.meaning} ({', '.join(words)})"


def networks(family: str, key: str) -> Iterator[tuple[str, Any]]:
    """Every choice at a key with the configuration that it gives."""
    from msflow_jax.config import default_config
    from msflow_jax.coupling.conditioners import CONDITIONERS
    from msflow_jax.families import get_family

    if not key:  # one network alone
        return
    for name in CONDITIONERS if family == "coupling" else ("unet", "dit"):
        config = default_config(family)
        with config.unlocked():
            get_family(family).choose(config, key, name)
        yield name, config


def configuration() -> str:
    """Every key of a configuration: type, default, range, meaning."""
    from msflow_jax.config import default_config, settings_table
    from msflow_jax.families import FAMILIES

    head = ("key", "type", "default", "values", "meaning")
    text = ["# Every setting of a configuration\n", MADE]
    text += ["Set by `--config.KEY=VALUE`. Of a list, each entry takes the values named.\n"]
    first = next(iter(FAMILIES))
    config, known = default_config(first), settings_table(first)
    for part, words in (("data.", "what is read"), ("train.", "how it is trained")):
        text += [f"## `{part[:-1]}`: {words}\n", table(head, setting_rows(config, known, part))]
    for family in FAMILIES:
        config, known = default_config(family), settings_table(family)
        choice = CHOOSES.get(family, "")
        own = choice.removesuffix("name") or " "  # which no key begins with
        rows = [r for r in setting_rows(config, known, "model.") if not r[0].startswith(f"`{own}")]
        text += [f"## `model` of the family `{family}`\n", table(head, rows)]
        for name, chosen in networks(family, choice):
            text += [f"### With `{choice}={name}`\n", table(head, setting_rows(chosen, known, own))]
        text += [f"## `sample` of the family `{family}`: how it is used\n"]
        text += [table(head, setting_rows(config, known, "sample."))]
    return "\n".join(text)


def measures() -> str:
    """Every measure of an evaluation: definition, range, direction, source."""
    from msflow_jax.evaluation.measures import MEASURES

    text = ["# What is measured\n", MADE]
    text += [
        "Names as in `evaluation.json` and in tables. N images, K classes, p_k the probability of class "
        "k, mean over the noise draws. How to read them: [the report](../report.md).\n"
    ]
    for heading, part in MEASURES.items():
        rows = [(f"`{k}`", m.definition, m.values, m.direction, m.source) for k, m in part.items()]
        head = ("measure", "definition", "range", "direction", "source")
        text += [f"## {heading}\n", table(head, rows)]
    return "\n".join(text)


def endpoints() -> str:
    """Every parameter of every endpoint of ``msflow serve``: type, default, range, meaning."""
    from msflow_jax.serving.parameters import ENDPOINTS, takes_file, takes_form

    kinds = {str: "text", int: "integer", float: "number", bool: "1 or 0"}
    text = ["# Every endpoint of `msflow serve`\n", MADE]
    text += [
        "By POST, parameters in the address. How it answers: [serving a model](../serve.md).\n"
    ]
    for name, known in ENDPOINTS.items():
        rows = []
        for key, one in known.items():
            number = type(one.default) in (int, float)
            values = in_words(f"[{one.low:g}, {one.high:.10g}]".replace("inf]", "inf)"))
            default = int(one.default) if type(one.default) is bool else one.default
            takes = kinds[type(one.default)]
            rows.append((f"`{key}`", takes, f"`{default}`" if default != "" else "",
                         one.listed or (values if number else ""), one.words))  # fmt: skip
        body = "the bytes of an image file" if takes_file(name) else "empty"
        body += ", or a form (`multipart/form-data`) of several" if takes_form(name) else ""
        head = ("parameter", "type", "default", "values", "meaning")
        text += [f"## `/{name}`\n", f"Body: {body}.\n", table(head, rows)]
    return "\n".join(text)


PAGES = {
    "endpoints.md": endpoints,
    "configuration.md": configuration,
    "measures.md": measures,
    "commands.md": commands,
    **pages(),
}


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--check", action="store_true", help="write nothing; refuse what is stale")
    options = flags.parse_args(arguments)
    (FOLDER / PART).mkdir(parents=True, exist_ok=True)
    for path in (FOLDER / PART).glob("*.md"):
        if f"{PART}/{path.name}" not in PAGES:
            if options.check:
                raise ValueError(
                    f"{path} is of no configuration: run python tools/make_reference.py"
                )
            path.unlink()
    for name, make in PAGES.items():
        path, text = FOLDER / name, make()
        if options.check and (not path.is_file() or path.read_text(encoding="utf-8") != text):
            raise ValueError(f"{path} is not up to date: run python tools/make_reference.py")
        if not options.check:
            path.write_text(text, encoding="utf-8")
            print(path)


if __name__ == "__main__":
    run(main)
