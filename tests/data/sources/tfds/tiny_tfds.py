"""TFDS builders that write a few small images; a module of its own, as tensorflow_datasets wants."""

import io

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

SIDE = 6


def image(split, i):
    seed = 1000 * len(split) + i
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def encoded(split, i):
    out = io.BytesIO()
    Image.fromarray(image(split, i)).save(out, "PNG")
    out.seek(0)
    return out


class _Tiny(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
    SPLITS = (("train", 20),)

    def feature(self):
        return tfds.features.Tensor(shape=(SIDE, SIDE, 3), dtype=np.uint8)

    def value(self, split, i):
        return image(split, i)

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description="Noise.",
            features=tfds.features.FeaturesDict(
                {
                    "image": self.feature(),
                    "label": tfds.features.ClassLabel(names=["benign", "malignant"]),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, manager):
        return {split: self._examples(split, n) for split, n in self.SPLITS}

    def _generate_examples(self, split, count):
        raise NotImplementedError

    def _examples(self, split, count):
        for i in range(count):
            yield i, {"image": self.value(split, i), "label": i % 2}


class TinyTensor(_Tiny):
    """Arrays, one split."""


class TinyPicture(_Tiny):
    """PNG files, three splits."""

    SPLITS = (("train", 12), ("validation", 4), ("test", 6))

    def feature(self):
        return tfds.features.Image(shape=(SIDE, SIDE, 3))

    def value(self, split, i):
        return encoded(split, i)


class TinyDark(TinyTensor):
    """Values below 16."""

    def value(self, split, i):
        return image(split, i) // 16


class TinyUnlabelled(_Tiny):
    """No class label."""

    def _info(self):
        features = tfds.features.FeaturesDict({"picture": self.feature()})
        return tfds.core.DatasetInfo(builder=self, description="Noise.", features=features)

    def _examples(self, split, count):
        for i in range(count):
            yield i, {"picture": self.value(split, i)}
