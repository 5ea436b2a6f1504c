"""Write notebooks/*.ipynb out of notebooks/*.py, without outputs.

    python tools/make_notebooks.py
    python tools/make_notebooks.py --check

The address of the repository is setup.cfg's ``url`` alone. With one on GitHub each notebook gets a badge
that opens it in Colab and knows from where to install; without one it has neither. With --check nothing
is written, and notebooks that are not up to date are an error. Needs the extra notebooks.
"""

import configparser
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msflow_jax.commands.common import parser, run

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
COLAB = "https://colab.research.google.com/github"
# What is rewritten: the line that says where Colab installs from, and the badge above the title.
_SOURCE = re.compile(r'^SOURCE = ".*?"', re.MULTILINE)
_BADGE = re.compile(rf"\A# %% \[markdown\]\n# \[!\[[^\n]*{re.escape(BADGE)}[^\n]*\n\n")
METADATA = {
    "accelerator": "GPU",  # what Colab offers first; a TPU or none will do
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def address() -> str:
    """``url`` of setup.cfg without a slash at its end; empty where it has none."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config.get("metadata", "url", fallback="").strip().rstrip("/")


def addressed(text: str, name: str, url: str) -> str:
    """The source of a notebook with the badge and the line ``SOURCE`` of this address.

    Raises:
        ValueError: it has no such line.
    """
    if not _SOURCE.search(text):
        raise ValueError(f'{FOLDER / name}.py has no line SOURCE = "": copy the first code cell')
    text = _SOURCE.sub(lambda _: f'SOURCE = "{url}"', _BADGE.sub("", text))
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?", url)
    if not found:
        return text
    link = f"{COLAB}/{found[1]}/blob/main/{FOLDER.name}/{name}.ipynb"
    return f"# %% [markdown]\n# [![Open in Colab]({BADGE})]({link})\n\n{text}"


def notebook(text: str) -> str:
    """The .ipynb of a notebook in jupytext's percent format.

    A cell is named by its content, so that a change shows as a change of that cell alone.

    Raises:
        ImportError: jupytext is not installed.
    """
    try:
        import jupytext
    except ImportError as error:
        raise ImportError(
            "notebooks need the extra: pip install 'msflow_jax[notebooks]'"
        ) from error
    cells, taken = [], set()
    for cell in jupytext.reads(text, "py:percent").cells:
        name, more = "", 0
        while not name or name in taken:
            name = hashlib.sha256(f"{cell.source}{more or ''}".encode()).hexdigest()[:8]
            more += 1
        taken.add(name)
        made: dict[str, Any] = {"cell_type": cell.cell_type, "id": name, "metadata": {}}
        made["source"] = cell.source.splitlines(keepends=True)
        if cell.cell_type == "code":
            made |= {"execution_count": None, "outputs": []}
        cells.append(dict(sorted(made.items())))
    whole = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--check", action="store_true", help="write nothing; refuse what is stale")
    options = flags.parse_args(arguments)
    url = address()
    if not url:
        print("setup.cfg names no url: the notebooks have no badge, and no address to install from")
    for path in sorted(FOLDER.glob("[0-9]*.py")):
        text = addressed(path.read_text(encoding="utf-8"), path.stem, url)
        for place, content in ((path, text), (path.with_suffix(".ipynb"), notebook(text))):
            old = place.read_text(encoding="utf-8") if place.is_file() else None
            if options.check and old != content:
                raise ValueError(f"{place} is not up to date: run python tools/make_notebooks.py")
            if not options.check and old != content:
                place.write_text(content, encoding="utf-8")
                print(place)


if __name__ == "__main__":
    run(main)
