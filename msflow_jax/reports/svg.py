"""Charts as SVG that stands in the page itself: one drawing for light and dark, no foreign namespace.

A chart is drawn in the colours named here. They are stand-ins: in the SVG each becomes a variable of the
style sheet, so that the browser picks the colours of the page's theme.
"""

import io
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

INK, MUTED, GRID = "#0a0001", "#0a0002", "#0a0003"
SERIES = tuple(f"#0a001{i}" for i in range(1, 9))
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    **{colour: f"var(--series-{i})" for i, colour in enumerate(SERIES, start=1)},
}
_COLOUR = re.compile("|".join(_VARIABLES))
_ADDRESS = re.compile(r"url\(#([^)]+)\)")
_LONG_NUMBER = re.compile(r"\d+\.\d{3,}")
_FAMILY = re.compile(r"font-family:[^;]*;?\s*")
_FONT = re.compile(r"font: ([\d.]+px) [^;]*")  # size and family at once, in older versions
# The rest of what C0 and C1 hold cannot stand in XML, nor can a lone half of a surrogate pair.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]+")


def plain(text: str) -> str:
    """One line of text that XML can hold; control characters become spaces."""
    return _UNPRINTABLE.sub(" ", text.encode("utf-8", "replace").decode("utf-8"))


def to_svg(figure: Any, name: str, label: str, width: int) -> Markup:
    """The figure as an ``<svg>`` element for an HTML page.

    Args:
        figure: matplotlib figure, drawn in the colours of this module.
        name: word that no other chart of the page has; identifiers start with it.
        label: what the chart shows, for those who do not see it.
        width: width on the page in CSS pixels; a narrow window shows it smaller.

    Returns:
        The element. Texts in it are escaped; it holds no style sheet, script, date or address.
    """
    root = ElementTree.fromstring(_draw(figure))
    _drop(root, ("metadata", "style"))
    # Only what is referred to keeps an identifier, and one that no other chart has.
    used = dict.fromkeys(_references(root))
    names = {key: f"{name}-{i}" for i, key in enumerate(used)}
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {
            _local(key): _clean(_local(key), value, names)
            for key, value in element.attrib.items()
            if (key != "id" or value in names) and not value.startswith("rotate(-0 ")
        }
        element.text, element.tail = (
            text if text and text.strip() else None for text in (element.text, element.tail)
        )
    root.attrib = {
        "role": "img",
        "aria-label": plain(label),
        "width": str(width),
        "viewBox": root.attrib["viewBox"],
    }
    return Markup(ElementTree.tostring(root, encoding="unicode", short_empty_elements=False))


def _draw(figure: Any) -> bytes:
    from matplotlib import rc_context

    buffer = io.BytesIO()
    # Letters stay text: smaller than outlines, and they take the font of the page. A fixed salt makes
    # the file the same each time. These two settings exist only as matplotlib's global ones.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "msflow_jax"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()


def _local(name: str) -> str:
    """A name without its namespace: HTML knows the elements of SVG, and ``href`` is enough for links."""
    return name.rpartition("}")[2]


def _drop(root: ElementTree.Element, tags: tuple[str, ...]) -> None:
    """Removes elements; a style sheet inside the SVG would apply to the whole page."""
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in tags:
                parent.remove(child)


def _references(root: ElementTree.Element) -> Iterator[str]:
    """Identifiers that other elements refer to, in order."""
    for element in root.iter():
        for key, value in element.attrib.items():
            yield from [value[1:]] if _local(key) == "href" else _ADDRESS.findall(value)


def _clean(key: str, value: str, names: dict[str, str]) -> str:
    """An attribute with the page's identifiers, colours and font, and numbers of two decimals."""
    if key == "id":
        return names[value]
    if key == "href":
        return "#" + names[value[1:]]
    if key in ("d", "x", "y") or value.startswith(("translate(", "rotate(")):
        return " ".join(_LONG_NUMBER.sub(lambda m: f"{float(m[0]):.2f}", value).split())
    value = _ADDRESS.sub(lambda m: f"url(#{names[m[1]]})", value)
    value = _FONT.sub(r"font-size: \1", _FAMILY.sub("", value))
    return _COLOUR.sub(lambda m: _VARIABLES[m[0]], value).strip()
