"""Turn a PyTorch ResNet into a Flax one whose features the evaluation compares images by.

    msflow convert-features ResNet50.pt features/rad --name RadImageNet-ResNet50 --range -1 1
    msflow convert-features r.pth features/r --mean .485 .456 .406 --std .229 .224 .225

The network is torchvision's, 18 to 152 layers, in its own naming, in that of an ``nn.Sequential`` of its
children (RadImageNet), or with biases in the convolutions (RadImageNet's Keras network in PyTorch). How
images are normalised for it no file shows, and a wrong way gives other features: the page
Features of your own network of the documentation.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msflow_jax.commands.common import add_key, parser, path, run
from msflow_jax.commands.numbers import fraction

Numbers = tuple[float, ...]
_NARROW = 0.1  # no network was trained on images that differ by less


def normalisation(
    span: Sequence[float] | None, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[Numbers, Numbers]:
    """Mean and deviation of images in [0, 1], as given or such that they come to fill a range.

    Args:
        span: smallest and largest value, or None.
        mean: mean of the three channels, or None.
        std: standard deviation of the three channels, or None.

    Raises:
        ValueError: neither a range nor both of the others, an empty or narrow range, or numbers of
            images in [0, 255].
    """
    if span is not None and mean is None and std is None:
        low, high = span
        if not low < high:
            raise ValueError(f"--range takes the lower value first, got {low} and {high}")
        if high - low < _NARROW:
            raise ValueError(
                f"--range {low} {high} is narrower than {_NARROW}, and all features would be nearly "
                "alike: give what black and white become, as -1 1"
            )
        return (-low / (high - low),) * 3, (1 / (high - low),) * 3
    if span is None and mean is not None and std is not None:
        if max(*mean, *std) * _NARROW > 1:
            raise ValueError(
                f"--mean {mean} and --std {std} are of images in [0, 1], which these would leave nearly "
                "alike or far off: are they of images in [0, 255]? Divide all six numbers by 255"
            )
        return tuple(mean), tuple(std)
    raise ValueError(
        "say how images are normalised for these weights, which no file shows: --range -1 1 (as in "
        "RadImageNet's PyTorch example), or --mean and --std of images in [0, 1] (torchvision: "
        ".485 .456 .406 and .229 .224 .225)"
    )


def spread(function: Any) -> float:
    """Distance of the features of two unlike pictures, relative to their length.

    Raises:
        FloatingPointError: they are not finite.
        ValueError: they are the same.
    """
    import numpy as np

    rows, columns = np.mgrid[-1 : 1 : 128 * 1j, -1 : 1 : 128 * 1j]
    disc = np.clip(8 * (0.8 - np.hypot(rows, 1.2 * columns)), 0, 1)
    stripes = 0.5 + 0.5 * np.sin(20 * columns)
    pictures = np.round(255 * np.stack([disc, stripes])[..., None]).astype(np.uint8)
    a, b = function(pictures).astype(np.float64)
    if not np.isfinite([a, b]).all():
        raise FloatingPointError(
            "the converted network's features are not finite: fetch the file again"
        )
    if (length := np.linalg.norm(a) + np.linalg.norm(b)) == 0 or np.allclose(a, b, rtol=1e-4):
        raise ValueError(
            "the features of two unlike pictures are the same: are the weights trained?"
        )
    return float(2 * np.linalg.norm(a - b) / length)


def convert(
    source: Path,
    folder: Path,
    *,
    name: str,
    mean: Numbers,
    std: Numbers,
    licence: str = "",
    key: str = "",
) -> None:
    """Write the folder; nothing is left behind on an error.

    Args:
        source: file of the state dict, index of its shards, or folder of either.
        folder: folder to make; may exist if it is empty.
        name: what distances on the features are called after; empty is architecture and file.
        mean: mean of the three channels of images in [0, 1].
        std: standard deviation of the three channels of images in [0, 1].
        licence: noted in the folder.
        key: where the weights lie in the file, if it holds several.

    Raises:
        FileNotFoundError: no such file.
        ValueError: tensors that do not fit, or a folder that is not empty.
        FloatingPointError: the features are not finite.
    """

    from msflow_jax.convert import read_state_dict
    from msflow_jax.convert.resnet import convert_resnet
    from msflow_jax.convert.shards import listed, weight_files
    from msflow_jax.convert.state_dicts import of_file
    from msflow_jax.evaluation.supplied import SuppliedNetwork, save_features
    from msflow_jax.nets import count_parameters
    from msflow_jax.nets.resnet import ResNet
    from msflow_jax.storage.archives import file_sha256
    from msflow_jax.storage.atomic import check_new

    check_new(folder)
    tensors = read_state_dict(source)
    with of_file(source):
        config, params, unused = convert_resnet(tensors, key=key)
    network = ResNet(**config)
    kind = f"ResNet-{network.depth}"
    supplied = SuppliedNetwork(name or f"{kind} {source.stem}", network, mean, std)
    with of_file(source):
        found = spread(supplied.features(params))
    origin = {
        "files": {file.name: file_sha256(file) for file in weight_files(source)},
        "licence": licence or "not given: see where the weights come from",
    }
    save_features(folder, supplied, params, origin)
    count = count_parameters(params)
    print(f"{source.name}: {kind} of {count:,} numbers, {len(tensors)} tensors read")
    print("  ".join(f"{key} {value}" for key, value in config.items()))
    if unused:
        print(f"not used: {listed(unused)}")
    side = supplied.side
    print(f"images in [0, 1] at {side} x {side}, minus {mean}, divided by {std}; grey three times")
    print(f"features of two pictures are finite and {100 * found:.0f} % apart: {folder}")
    print(f"distances will be called after {supplied.name!r}")


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument(
        "source", type=path, metavar="IN", help="state dict (.safetensors, .pt, index, folder)"
    )
    flags.add_argument("folder", type=path, metavar="OUT", help="folder to make")
    flags.add_argument(
        "--name", default="", help="of the features (default: architecture and file)"
    )
    flags.add_argument(
        "--range",
        **fraction("(-inf, inf)"),
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="to scale images to",
    )
    for flag in ("--mean", "--std"):
        flags.add_argument(
            flag,
            **fraction("(-inf, inf)"),
            nargs=3,
            metavar=("R", "G", "B"),
            help="of images in [0, 1]",
        )
    add_key(flags)
    flags.add_argument("--licence", default="", help="a note to keep with the weights")
    o = flags.parse_args(arguments)
    mean, std = normalisation(o.range, o.mean, o.std)
    convert(o.source, o.folder, name=o.name, mean=mean, std=std, licence=o.licence, key=o.key)


if __name__ == "__main__":
    run(main)
