"""The training images whose features are nearest to an image's: what a model may have it from."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax import data
from msflow_jax.data.begun import load_again
from msflow_jax.evaluation.familiar import MOST, of_each_class
from msflow_jax.inference.flow import Flow
from msflow_jax.inference.prediction import Prediction
from msflow_jax.serving.pictures import addresses

_SAME = 0.9999  # cosine of the features of one image


@dataclass(frozen=True)
class Nearest:
    """Training images that features are known of.

    Attributes:
        images: uint8 ``[M, *space, C]``, in the order of what the evaluation knows.
        labels: their classes ``[M]``.
        total: how many training images there are, M of which are compared with.
        flow: the opened workdir.
    """

    images: np.ndarray
    labels: np.ndarray
    total: int
    flow: Flow

    @classmethod
    def of(cls, flow: Flow) -> "Nearest":
        """The images that the standing evaluation compared with.

        Raises:
            ValueError: it knows no features, or the data of the run are not there, or others.
            OSError: the data cannot be read.
        """
        known = flow.calibration.familiar
        if known is None:
            raise ValueError("the standing evaluation knows no features of training images")
        config = flow.config
        splits = load_again(config.data, flow.info, flow.path / "splits.csv")
        rows = of_each_class(np.asarray(splits.train.labels), MOST, config.sample.seed)
        if len(rows) != len(known.bank):
            raise ValueError("the standing evaluation compared with other training images")
        few = data.in_memory(splits.train.take(rows), len(rows), config.sample.seed)
        # Equally many may be others: of the first one the features are made again.
        prediction = flow.classify(few.images[:1])
        if known.likeness(np.asarray(prediction.features).mean(axis=0))[0, 0] < _SAME:
            raise ValueError("the standing evaluation compared with other training images")
        return cls(few.images, np.asarray(few.labels), len(splits.train.labels), flow)

    @property
    def counts(self) -> dict[str, int]:
        """How many training images are compared with, and how many there are."""
        return {"compared_with": len(self.labels), "training_images": self.total}

    def find(self, prediction: Prediction, count: int) -> list[list[dict[str, Any]]]:
        """Of each image the nearest ``count``: class, cosine of the features, and picture."""
        known: Any = self.flow.calibration.familiar
        cosine = known.likeness(np.asarray(prediction.features).mean(axis=0))
        best = np.argsort(-cosine, axis=1)[:, :count]
        shown = dict(zip(found := np.unique(best), addresses(self.images[found]), strict=True))
        return [
            [
                {
                    "class": self.flow.classes[self.labels[k]],
                    "cosine": round(float(cosine[i, k]), 4),
                    "picture": shown[k],
                }
                for k in row
            ]
            for i, row in enumerate(best)
        ]
