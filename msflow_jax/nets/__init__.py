"""Networks (Flax linen modules only) and their initialisation."""

from msflow_jax.nets.dit import DiT
from msflow_jax.nets.init import count_parameters, init_params
from msflow_jax.nets.unet import UNet

__all__ = ["DiT", "UNet", "count_parameters", "init_params"]
