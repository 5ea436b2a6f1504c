"""The average of the weights that CompVis' training keeps beside them, under names without dots."""

from collections.abc import Mapping

import numpy as np

STEM = "model_ema."
# What an autoencoder's training leaves beside it: its loss, its average's counters.
_REST = ("loss.", f"{STEM}decay", f"{STEM}num_updates")
_REST_OF_AVERAGE = ("loss", "decay", "num_updates")


def dotted(state: Mapping[str, np.ndarray]) -> dict[str, str]:
    """The file's name of each tensor, by its name with the dots that CompVis' average leaves out.

    ``model_ema.encoderconv_inweight``, the average of ``encoder.conv_in.weight``, is called
    ``model_ema.encoder.conv_in.weight``. What was not trained has no average: it stands for its own,
    so that an average is a whole network.
    """
    names = {name: name for name in state}
    starts = {name[: name.index(STEM)] for name in state if STEM in name}
    for prefix in (start for start in starts if not start or start.endswith(".")):
        inner = [name.removeprefix(prefix) for name in state if name.startswith(prefix)]
        raw = [name for name in inner if not name.startswith((STEM, *_REST))]
        dotless = {name: f"{prefix}{STEM}{name.replace('.', '')}" for name in raw}
        if any(old in state for old in dotless.values()):
            for name, old in dotless.items():
                names.pop(old, None)
                names[f"{prefix}{STEM}{name}"] = old if old in state else prefix + name
    return names


def without_rest(state: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """A network's tensors without what its training left beside them; ``prefix`` is where they lie."""
    rest = _REST_OF_AVERAGE if prefix.endswith(STEM) else _REST
    return {name: array for name, array in state.items() if not name.startswith(rest)}
