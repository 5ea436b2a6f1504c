"""Images as addresses that hold them: what JSON and a page can carry."""

import base64
from collections.abc import Sequence

import numpy as np

from msflow_jax.reports.figures import as_rgb, encode_png
from msflow_jax.reports.planes import flat


def address(picture: np.ndarray) -> str:
    """A picture uint8 ``[H, W, 3]`` as a ``data:`` address of a PNG."""
    return address_of(encode_png(picture))


def address_of(content: bytes, kind: str = "image/png") -> str:
    """The bytes of a file as a ``data:`` address."""
    return f"data:{kind};base64," + base64.b64encode(content).decode("ascii")


def addresses(images: np.ndarray, spacing: Sequence[float] = ()) -> list[str]:
    """Images uint8 ``[N, *space, C]`` as addresses, of volumes their three planes."""
    return [address(one) for one in as_rgb(flat(images, spacing))]
