"""The command of ``msflow_jax/commands/train.py``: ``msflow train``."""

from msflow_jax.commands.train import main, run

if __name__ == "__main__":
    run(main)
