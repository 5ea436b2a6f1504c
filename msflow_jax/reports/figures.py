"""Pictures made of images: strips for the report, labelled grids for people.

Pure functions to PNG bytes. Matplotlib is used through its object interface only (no pyplot), so
nothing is left behind in global state.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from msflow_jax.reports.planes import flat
from msflow_jax.storage.atomic import write_atomically

LIMIT = 128  # longest side of a picture in the report


def as_rgb(images: np.ndarray) -> np.ndarray:
    """uint8 ``[N, H, W, 3]`` from uint8 images ``[N, H, W, C]``, C = 1 or 3.

    Raises:
        ValueError: for another dtype or shape.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] not in (1, 3):
        raise ValueError(
            f"images must be uint8 [N, H, W, 1 or 3], got {images.dtype} {images.shape}."
        )
    return np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG bytes of uint8 pixels ``[H, W, 3]`` or ``[H, W, 4]``."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def thumbnails(
    images: np.ndarray,
    limit: int = LIMIT,
    spacing: Sequence[float] = (),
    *,
    nearest: bool = False,
) -> np.ndarray:
    """RGB images reduced to sides of at most ``limit``; smaller ones are left as they are.

    Of volumes their three planes in a row, of at most three times ``limit``. With ``nearest`` colours
    are not mixed, as those of classes must not be.
    """
    from PIL import Image

    if np.ndim(images) == 5:
        images, limit = flat(images, spacing), 3 * limit
    images = as_rgb(images)
    longest = max(images.shape[1:3])
    if longest <= limit or len(images) == 0:
        return images
    height, width = (max(1, round(side * limit / longest)) for side in images.shape[1:3])
    way = Image.Resampling.NEAREST if nearest else Image.Resampling.LANCZOS
    small = [Image.fromarray(i).resize((width, height), way) for i in images]
    return np.stack([np.asarray(i) for i in small])


def strip(
    images: np.ndarray, per_row: int, gap: float = 0.07, spacing: Sequence[float] = ()
) -> bytes:
    """One PNG with the images side by side, transparent gaps between, rows as needed.

    Args:
        images: uint8 ``[N, *space, C]``, N at least 1; of volumes their three planes.
        per_row: images in a row.
        gap: width of the gaps as a share of the image height.
        spacing: size of a voxel in mm along each axis of a volume; empty: cubes.
    """
    images = thumbnails(images, spacing=spacing)
    n, height, width = images.shape[:3]
    columns, space = min(per_row, n), max(1, round(gap * height))
    rows = -(-n // columns)
    sheet = np.zeros(
        (rows * (height + space) - space, columns * (width + space) - space, 4), np.uint8
    )
    for i, image in enumerate(images):
        y, x = (i // columns) * (height + space), (i % columns) * (width + space)
        sheet[y : y + height, x : x + width, :3] = image
        sheet[y : y + height, x : x + width, 3] = 255
    return encode_png(sheet)


def image_grid(
    images: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    per_row: int = 0,
    kind: str = "png",
    spacing: Sequence[float] = (),
) -> bytes:
    """A picture of images in rows, each under its class name; of volumes their three planes.

    Args:
        images: uint8 ``[N, *space, C]``, C = 1 or 3, N at least 1.
        labels: int ``[N]`` in 0..K-1.
        classes: K class names.
        per_row: images in a row; 0: eight, of volumes three.
        kind: ``png`` or ``pdf``.
        spacing: size of a voxel in mm along each axis of a volume; empty: cubes.

    Raises:
        ValueError: for no images, another dtype or shape, or labels that do not fit.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    volumes = np.ndim(images) == 5
    images, labels = as_rgb(flat(images, spacing)), np.asarray(labels)
    if len(images) == 0 or labels.shape != (len(images),):
        raise ValueError(
            f"need one label per image, got {len(images)} images, {labels.shape} labels."
        )
    if labels.min() < 0 or labels.max() >= len(classes):
        raise ValueError(
            f"labels must lie in 0..{len(classes) - 1}, got {labels.min()}..{labels.max()}."
        )
    columns = max(1, min(per_row or (3 if volumes else 8), len(images)))
    rows = -(-len(images) // columns)
    wide = 1.25 * (images.shape[2] / images.shape[1] if volumes else 1)
    figure = Figure(figsize=(wide * columns, 1.45 * rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    sharp = "nearest" if images.shape[1] < 128 else "antialiased"
    for axis in axes:
        axis.set_axis_off()
    for axis, image, label in zip(axes[: len(images)], images, labels, strict=True):
        axis.imshow(image, interpolation=sharp)
        # A dollar sign would otherwise start mathematics.
        axis.set_title(shorten(str(classes[int(label)])), fontsize=7, pad=3, parse_math=False)
    buffer = io.BytesIO()
    # Without a date the same images make the same file.
    plain = {"CreationDate": None} if kind == "pdf" else None
    figure.savefig(buffer, format=kind, facecolor="white", metadata=plain)
    return buffer.getvalue()


def save_grid(
    path: Path,
    images: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    per_row: int = 0,
    spacing: Sequence[float] = (),
) -> Path:
    """Writes ``image_grid`` to a file, atomically.

    Args:
        path: file, ``.png`` or ``.pdf``; folders that are missing are made.
        images: uint8 ``[N, *space, C]``, C = 1 or 3, N at least 1.
        labels: int ``[N]`` in 0..K-1.
        classes: K class names.
        per_row: images in a row; 0: eight, of volumes three.
        spacing: size of a voxel in mm along each axis of a volume; empty: cubes.

    Returns:
        The path.
    """
    kind = Path(path).suffix.lstrip(".")
    return write_atomically(Path(path), image_grid(images, labels, classes, per_row, kind, spacing))


def shorten(name: str, limit: int = 20) -> str:
    """A name of at most ``limit`` letters."""
    return name if len(name) <= limit else name[: limit - 1] + "…"
