"""Docstrings name things as :class:`NAME`: in the site that is a link, where it is shown.

An extension of griffe, named in mkdocs.yml.
"""

import re
from typing import Any

import griffe

_ROLE = re.compile(r":[a-z]+:`(~?)([\w.]+)`")


def _link(role: re.Match[str]) -> str:
    name = role[2].rsplit(".", 1)[-1] if role[1] else role[2]
    return f'<autoref optional identifier="{role[2]}"><code>{name}</code></autoref>'


class Roles(griffe.Extension):
    """Replaces the roles of Sphinx; double backticks are code in Markdown too."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Changes the docstring of an object that was read."""
        if obj.docstring:
            obj.docstring.value = _ROLE.sub(_link, obj.docstring.value)
