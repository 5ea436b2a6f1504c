r"""Write a trained classifier as an ONNX file, and compare ONNX Runtime with the library on images.

    python tools/export_onnx.py --workdir=runs/quickstart --output=model.onnx

The file takes raw images uint8 [N, *shape] and gives what `msflow export --verb=classify` gives; see
docs/export.md. The converter's package asks for an older orbax-checkpoint, which it does not use: the
script has an environment of its own, into which it is installed without what it asks for.

    pip install . onnx onnxruntime onnx-ir dm-pix
    pip install --no-deps jax2onnx==0.17.1
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msflow_jax.commands.common import add_overwrite, parser, path, run
from msflow_jax.commands.numbers import fraction, whole

TOLERANCE = 1e-4  # of a probability
INSTALL = "pip install onnx onnxruntime onnx-ir dm-pix && pip install --no-deps jax2onnx==0.17.1"
_LARGEST = 2**31 - 2**26  # bytes of parameters: protobuf holds 2 GiB
_PRODUCER = "msflow_jax"


def export_onnx(
    workdir: Path,
    output: Path,
    *,
    images: str = "",
    count: int = 4,
    batch: int | None = None,
    tolerance: float = TOLERANCE,
    overwrite: bool = False,
    **requested: Any,
) -> float:
    """Writes the classifier of a workdir as ONNX; returns the largest difference of a probability.

    Args:
        workdir: workdir of a trained model.
        output: file to write; one that an earlier call wrote is replaced.
        images: images to compare on, as ``msflow classify`` takes them; empty: made up.
        count: how many at most.
        batch: images of a call, None: any number.
        tolerance: difference of a probability from the library's above which nothing is written.
        overwrite: whether a file of another kind is replaced.
        **requested: settings of ``classify``; 0: as evaluated, or as configured.

    Raises:
        ValueError: a model that cannot be written so, a difference above the tolerance, an output that
            must stay.
        OSError: a file that cannot be read or written.
        ImportError: a package of the script's environment is missing.
    """
    _require()
    from msflow_jax import data
    from msflow_jax.storage.atomic import write_atomically
    from msflow_jax.storage.outputs import check_file
    from msflow_jax.workdir import open_workdir

    output = check_file(output, _ours, [workdir], overwrite)
    flow = open_workdir(workdir)
    flow.require("classify")
    shown = data.read_sound_images(images, flow.info).images if images else made_up(flow, count)
    shown = shown[:count]
    content, facts = converted(flow, batch or 0, requested)
    found = _run(content, shown, batch or 0)
    differences = compare(flow, found, shown, requested)
    _check(differences, tolerance, len(shown))
    write_atomically(output, _with_facts(content, {**facts, "differences": differences}))
    print(
        f"classify of {workdir}: {output} ({output.stat().st_size / 2**20:.1f} MiB); of {len(shown)} "
        f"images probabilities differ from the library's by at most {differences['probability']:.1e}"
    )
    for line in facts["warnings"]:
        print(f"warning: {line}", file=sys.stderr)
    if not flow.calibration.known:
        print(f"not calibrated, and without thresholds: {flow.calibration.reason}")
    return differences["probability"]


def converted(flow: Any, batch: int, requested: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """The classifier as the bytes of an ONNX model that ``onnx.checker`` accepts, and its facts.

    Raises:
        ValueError: a model that cannot be written so, or of more than 2 GiB.
    """
    import logging

    import jax
    import onnx
    from jax2onnx import to_onnx
    from plain_program import plain

    from msflow_jax.inference.exporting import describe, leading_side

    size = sum(leaf.nbytes for leaf in jax.tree.leaves(flow.params))
    if size > _LARGEST:
        raise ValueError(
            f"{size / 2**30:.1f} GiB of parameters: an ONNX file holds less than 2 GiB"
        )
    function, inputs, facts = describe(flow, "classify", requested)
    ((name, dtype, shape),) = inputs
    # A line for each value without a type, though the checker finds the model complete.
    logging.getLogger("onnx_ir").setLevel(logging.ERROR)
    with leading_side(batch, "the ONNX file") as side:
        given = jax.ShapeDtypeStruct((side, *shape), dtype)
        try:
            program = plain(lambda x: function(flow.params, x), given)
        except NotImplementedError as error:
            raise ValueError(_cannot(error)) from error
    try:
        model = to_onnx(program, [given], input_names=[name], output_names=sorted(facts["outputs"]))
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # whatever a converter raises of an operation that it has not
        raise ValueError(_cannot(error)) from error
    model.producer_name, model.producer_version = _PRODUCER, facts["versions"]["msflow_jax"]
    return model.SerializeToString(), {"batch": batch or "any", **facts}


def _cannot(error: Exception) -> str:
    words = f"{type(error).__name__}: {str(error).strip() or 'no reason given'}"
    return f"this model cannot be written as ONNX ({words}): msflow export writes it as StableHLO"


def made_up(flow: Any, count: int) -> Any:
    """Images that look like nothing: noise, and smooth fields of several contrasts, in turns."""
    import numpy as np
    from scipy.ndimage import gaussian_filter

    rng, shape = np.random.default_rng(0), tuple(flow.info.shape)
    out = rng.integers(0, 256, (count, *shape), np.uint8)
    for i in range(1, count, 2):
        field = gaussian_filter(rng.normal(size=shape), [*(s / 8 for s in shape[:-1]), 0])
        out[i] = np.clip(128 + (20 + 10 * i) * field / field.std(), 0, 255).astype(np.uint8)
    return out


def compare(flow: Any, found: dict[str, Any], images: Any, requested: Any) -> dict[str, float]:
    """Largest differences of ``probability`` and ``distance`` from what the library says."""
    import numpy as np

    wanted = flow.classify(images, **requested)
    pairs = {name: getattr(wanted, name) for name in ("probability", "distance")}
    return {name: float(np.abs(found[name] - x).max()) for name, x in pairs.items()}


def _check(differences: dict[str, float], tolerance: float, count: int) -> None:
    worst = differences["probability"]
    if not worst <= tolerance:  # nor where it is not a number
        raise ValueError(
            f"of {count} images probabilities differ from the library's by up to {worst:.1e}, above "
            f"--tolerance={tolerance:g}: nothing is written; msflow export writes it as StableHLO"
        )


def _run(content: bytes, images: Any, batch: int) -> dict[str, Any]:
    """What ONNX Runtime says of images, the last of them alone where any number may come."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    size = batch or max(len(images) - 1, 1)
    parts = []
    for start in range(0, len(images), size):
        part = images[start : start + size]
        short = batch - len(part) if batch else 0
        filled = np.concatenate([part, np.repeat(part[-1:], max(short, 0), axis=0)])
        parts.append([x[: len(part)] for x in session.run(None, {"images": filled})])
    return {name: np.concatenate(x) for name, *x in zip(names, *parts, strict=True)}


def _with_facts(content: bytes, facts: dict[str, Any]) -> bytes:
    """The model with its facts as ``metadata_props``, each in JSON."""
    from importlib.metadata import version

    import onnx

    made_by = {name: version(name) for name in ("jax2onnx", "onnx", "onnxruntime")}
    facts["versions"] = {**facts["versions"], **made_by}
    model = onnx.load_from_string(content)
    onnx.helper.set_model_props(model, {key: json.dumps(x) for key, x in facts.items()})
    return model.SerializeToString()


def _require() -> None:
    from importlib import import_module

    for name in ("onnx", "onnxruntime", "jax2onnx"):
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"an ONNX file is written with {error.name}, which is not installed: {INSTALL}"
            ) from error


def _ours(file: Path) -> bool:
    """Whether a file is a model of an earlier call, by its first fields."""
    with file.open("rb") as opened:
        return _PRODUCER.encode() in opened.read(64)


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=path)
    flags.add_argument("--output", required=True, type=path, help="file to write: model.onnx")
    flags.add_argument("--images", default="", help="to compare on (default: made-up ones)")
    flags.add_argument("--count", **whole(), default=4, help="images to compare on, at most")
    flags.add_argument("--batch", **whole(), help="images of a call (default: any)")
    flags.add_argument("--draws", **whole(), help="noise draws (default: as evaluated)")
    flags.add_argument("--steps", **whole(), help="solver steps (default: as evaluated)")
    flags.add_argument(
        "--tolerance", **fraction("(0, 1)"), default=TOLERANCE,
        help=f"largest difference of a probability from the library's (default {TOLERANCE:g})",
    )  # fmt: skip
    add_overwrite(flags, "a file that is not of this command")
    o = vars(flags.parse_args(arguments))
    del o["debug"]
    export_onnx(**o)


if __name__ == "__main__":
    run(main)
