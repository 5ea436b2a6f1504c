"""The command of ``msflow_jax/commands/finetune_vae.py``: ``msflow finetune-vae``."""

from msflow_jax.commands.finetune_vae import main, run

if __name__ == "__main__":
    run(main)
