"""The command of ``msflow_jax/commands/convert_vae.py``: ``msflow convert-vae``."""

from msflow_jax.commands.convert_vae import main, run

if __name__ == "__main__":
    run(main)
