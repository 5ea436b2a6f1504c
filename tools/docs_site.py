"""What the documentation site has beside docs/: the README in front, tutorials, files linked to.

Hooks of mkdocs, named in mkdocs.yml. Pages link to each other and to the repository as they do on a git
host, relative to where they lie; here such links are brought to where things lie in the site.
"""

import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# Pages of the site by the file of the repository that they are made of; all others lie in docs/.
NOTEBOOKS = "notebooks"
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    f"{NOTEBOOKS}/README.md": "tutorials/index.md",
}
REPOSITORY = "repository"  # folder of the site with what pages link to
_CODE = re.compile(r"(^ *```.*?^ *```|`[^`\n]+`)", re.S | re.M)
_LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")


def notebooks(root: Path) -> list[Path]:
    """The notebooks of the repository as jupytext keeps them, in order."""
    return sorted((root / NOTEBOOKS).glob("[0-9]*.py"))


def tutorial(notebook: Path) -> str:
    """A notebook as Markdown: its texts, and its code in blocks; nothing is run."""
    import jupytext

    parts = []
    for cell in jupytext.read(notebook, fmt="py:percent").cells:
        code = cell.cell_type == "code"
        parts.append(f"```python\n{cell.source}\n```" if code else cell.source)
    if (beside := notebook.with_suffix(".ipynb")).is_file():
        parts.append(f"*This page is a notebook: [{beside.name}]({beside.name}).*")
    return "\n\n".join(parts) + "\n"


def source_of(uri: str) -> str:
    """The file of the repository that a page of the site is made of."""
    known = {page: source for source, page in PAGES.items()}
    if uri not in known and uri.startswith("tutorials/"):
        return f"{NOTEBOOKS}/{Path(uri).stem}.py"
    return known.get(uri, f"docs/{uri}")


def uri_of(path: str, source: str) -> str:
    """Where a file of the repository lies in the site, for a link in the page made of ``source``."""
    name = Path(path)
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.startswith(f"{NOTEBOOKS}/") and name.stem != Path(source).stem:
        return f"tutorials/{name.stem}.md"
    return f"{REPOSITORY}/{path}"


def relinked(text: str, source: str, root: Path, found: Callable[[str], Any]) -> str:
    """A page with its relative links brought to where things lie in the site.

    Args:
        text: Markdown as it stands in ``source``.
        source: file of the repository, from its root.
        root: the repository.
        found: is told each file of the repository that a link leads to.
    """
    own = uri_of(source, "")
    if source.startswith(NOTEBOOKS) and source not in PAGES:
        own = f"tutorials/{Path(source).stem}.md"

    def moved(link: re.Match[str]) -> str:
        before, target, after = link.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if ":" in target or not (root / path).is_file():
            return link[0]  # elsewhere, or a mistake that mkdocs names
        found(path)
        return before + posixpath.relpath(uri_of(path, source), posixpath.dirname(own)) + after

    parts = _CODE.split(text)
    return "".join(part if i % 2 else _LINK.sub(moved, part) for i, part in enumerate(parts))


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).parent


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lists tutorials and configurations in the navigation."""
    folder = Path(config.docs_dir) / "reference" / "configurations"
    pages = {
        "Tutorials": [
            "tutorials/index.md",
            *(f"tutorials/{path.stem}.md" for path in notebooks(_root(config))),
        ],
        "Configurations": [
            "reference/configurations/index.md",
            *(
                f"reference/configurations/{p.name}"
                for p in sorted(folder.glob("*.md"))
                if p.stem != "index"
            ),
        ],
    }

    def filled(nav: list[Any]) -> list[Any]:
        out = []
        for item in nav:
            if isinstance(item, dict):
                ((name, value),) = item.items()
                value = pages.get(name, filled(value) if isinstance(value, list) else value)
                out += [{name: value}] if value else []
            else:
                out.append(item)
        return out

    config.nav = filled(config.nav or [])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that do not lie in docs/, and files that any page links to."""
    root = _root(config)
    for source, uri in PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(root / source)))
    for notebook in notebooks(root):
        made = File.generated(config, f"tutorials/{notebook.stem}.md", content=tutorial(notebook))
        files.append(made)
    linked: set[tuple[str, str]] = set()
    for file in files.documentation_pages():
        source = source_of(file.src_uri)
        relinked(file.content_string, source, root, lambda path, s=source: linked.add((path, s)))
    outside = {(uri_of(path, source), path) for path, source in linked}
    for uri, path in sorted(outside):
        if uri.startswith(f"{REPOSITORY}/"):
            files.append(File.generated(config, uri, abs_src_path=str(root / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Brings the links of a page to where things lie in the site."""
    return relinked(markdown, source_of(page.file.src_uri), _root(config), lambda path: None)
