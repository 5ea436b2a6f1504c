"""PyTorch state dicts to Flax parameters, and back."""

from msflow_jax.convert.medsymmflow import convert_unet, unet_state_dict
from msflow_jax.convert.state_dicts import read_state_dict
from msflow_jax.convert.vae import convert_vae

__all__ = ["convert_unet", "convert_vae", "read_state_dict", "unet_state_dict"]
