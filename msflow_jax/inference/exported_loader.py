"""Runs a model that `msflow export` wrote. Needs jax and flatbuffers, nothing else.

from load import load
facts, run = load("FOLDER")  # facts: inputs, outputs, classes, thresholds of abstention
run(images)["probability"]   # uint8 [N, *shape] in, a dict of arrays out
"""

import hashlib
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import export


def load(folder):
    """Facts of an exported model, and the function that it is.

    That function raises a ValueError for labels that are none of the model's classes.
    """
    folder = Path(folder)
    facts = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    files = {name: (folder / name).read_bytes() for name in facts["sha256"]}
    for name, data in files.items():
        if hashlib.sha256(data).hexdigest() != facts["sha256"][name]:
            raise ValueError(f"{folder / name} is not the file that was exported")
    raw = files["parameters.safetensors"]
    start = 8 + int.from_bytes(raw[:8], "little")
    types = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "I32": "int32"}
    params: dict = {}
    for name, about in json.loads(raw[8:start]).items():
        if name != "__metadata__":
            first, end = (start + offset for offset in about["data_offsets"])
            array = np.frombuffer(raw[first:end], jnp.dtype(types[about["dtype"]]))
            *path, leaf = name.split("/")
            here = params
            for part in path:
                here = here.setdefault(part, {})
            here[leaf] = array.reshape(about["shape"])
    program = export.deserialize(bytearray(files["program.stablehlo"]))
    params, call = jax.device_put(params), jax.jit(program.call)

    def run(*inputs):
        if facts["verb"] == "generate" and facts["classes"]:
            check_labels(inputs[0], facts["classes"])
        return jax.tree.map(np.asarray, call(params, *inputs))

    return facts, run


def check_labels(labels, classes):
    """Refuses numbers of classes that there are not: the program would draw another class."""
    labels = np.asarray(labels)
    low, high = labels.min(initial=0), labels.max(initial=0)
    if low < 0 or high >= len(classes):
        known = ", ".join(f"{k} = {name}" for k, name in enumerate(classes))
        raise ValueError(
            f"labels must lie in 0..{len(classes) - 1}, got {low} to {high}: the model knows {known}"
        )
