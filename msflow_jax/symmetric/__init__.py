"""MedSymmFlow and SymmFlow: one velocity field carries image and label in opposite directions."""

from msflow_jax.latent.codec import LatentCodec, PixelCodec
from msflow_jax.symmetric.codes import Code
from msflow_jax.symmetric.latent_codes import LatentCode
from msflow_jax.symmetric.model import SymmetricFlow
from msflow_jax.symmetric.times import TimeDistribution

__all__ = [
    "Code",
    "LatentCode",
    "LatentCodec",
    "PixelCodec",
    "SymmetricFlow",
    "TimeDistribution",
]
