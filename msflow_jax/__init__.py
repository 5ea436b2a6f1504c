"""msflow_jax: symmetric flows that read and make medical images, in JAX."""

__version__ = "0.1.0"
