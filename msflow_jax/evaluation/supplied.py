"""Features of images by a network whose weights the user supplies.

``msflow convert-features`` converts the weights and writes a folder that :func:`load_features` reads.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.convert.matching import check_parameters, parameter_shapes
from msflow_jax.evaluation.checks import check_images
from msflow_jax.nets.ops import resize
from msflow_jax.nets.resnet import ResNet
from msflow_jax.parallel.batched import batched
from msflow_jax.storage import weights

FILE = "features.json"

_BATCH = 32  # images of 224 pixels in a network of the usual size


@dataclass(frozen=True)
class SuppliedNetwork:
    """A network whose weights the user supplies, and what it expects of images.

    Attributes:
        name: name after which every distance on its features is called.
        network: images ``[B, side, side, 3]`` to features ``[B, F]``.
        mean: means of red, green and blue that are subtracted from images in [0, 1] (grey images are
            repeated three times).
        std: standard deviations by which they are divided then.
        side: rows and columns to which images are resized (bilinear, antialiased where they shrink).
    """

    name: str
    network: ResNet
    mean: tuple[float, ...]
    std: tuple[float, ...]
    side: int = 224

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("the network for features needs a name: distances are called after it")
        numbers = np.array([self.mean, self.std], np.float64)
        if numbers.shape != (2, 3) or not np.isfinite(numbers).all() or min(self.std) <= 0:
            raise ValueError(
                f"mean and std are three numbers each, std above 0, got {self.mean} and {self.std}"
            )

    def features(self, params: Any) -> Callable[[np.ndarray], np.ndarray]:
        """The function from uint8 images ``[N, H, W, 1 or 3]`` to float32 features ``[N, F]``."""

        def forward(params: Any, images: jax.Array, index: jax.Array) -> Any:
            small = resize(images.astype(jnp.float32) / 255, self.side)
            colour = jnp.broadcast_to(small, (*small.shape[:3], 3))
            mean, std = (jnp.array(each)[None, None, None] for each in (self.mean, self.std))
            normal = (colour - mean) / std
            return self.network.apply({"params": params}, normal)

        run = batched(forward, _BATCH)

        def function(images: np.ndarray) -> np.ndarray:
            images = check_images(images, "images")
            if images.shape[-1] not in (1, 3):
                raise ValueError(f"images must be [N, H, W, 1 or 3], got {images.shape}.")
            long = len(images) > _BATCH
            return run(params, images, f"features of {self.name}" if long else "")

        return function


def save_features(
    folder: Path, supplied: SuppliedNetwork, params: Any, origin: dict[str, Any]
) -> None:
    """Writes a new folder atomically.

    Args:
        folder: folder to make; may exist if it is empty.
        supplied: feature network and its preprocessing.
        params: parameters of the network.
        origin: JSON facts on where they come from, such as file, hash and licence.

    Raises:
        ValueError: the folder is not empty.
    """
    net = {k: v for k, v in asdict(supplied.network).items() if k not in ("parent", "name")}
    preprocessing = {"side": supplied.side, "mean": supplied.mean, "std": supplied.std}
    facts = {"name": supplied.name, "network": net, "preprocessing": preprocessing}
    weights.save(folder, FILE, {**facts, "origin": origin}, params)


def load_features(folder: Path) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
    """The name and the function of a folder that :func:`save_features` wrote.

    Returns:
        Name, and function from uint8 images ``[N, H, W, 1 or 3]`` to float32 features ``[N, F]``.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the converted network is damaged.
    """
    facts = weights.read_facts(folder, FILE, "network for features", "msflow convert-features")
    path = Path(folder) / FILE
    try:
        supplied = _supplied(facts)
        shapes = parameter_shapes(supplied.network, (1, 32, 32, 3))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): {weights.REMEDY}") from error
    params = weights.load_params(folder)
    check_parameters(path, params, shapes)
    return supplied.name, supplied.features(params)


def _supplied(facts: dict[str, Any]) -> SuppliedNetwork:
    weights.check_keys(facts, {"name", "network", "preprocessing", "origin"})
    if not isinstance(facts["name"], str):
        raise ValueError(f"name is {facts['name']!r:.60}, no text")
    network = weights.module(ResNet, facts["network"])
    seen = facts["preprocessing"]
    weights.check_keys(seen, {"side", "mean", "std"}, "preprocessing")
    colours = {}
    for key, low in (("mean", -1e6), ("std", 1e-9)):
        if not isinstance(seen[key], list) or len(seen[key]) != 3:
            raise ValueError(f"preprocessing.{key} is {seen[key]!r:.60}, no list of three numbers")
        named = {f"preprocessing.{key}[{i}]": value for i, value in enumerate(seen[key])}
        colours[key] = tuple(weights.number(named, name, low, 1e6) for name in named)
    side = weights.number(seen, "side", 8, 4096)
    return SuppliedNetwork(facts["name"], network, colours["mean"], colours["std"], int(side))
