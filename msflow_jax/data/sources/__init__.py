"""The data sources, one module for each kind; ``msflow_jax.data.load`` picks one."""
