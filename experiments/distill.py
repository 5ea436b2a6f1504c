"""The command of ``msflow_jax/commands/distill.py``: ``msflow distill``."""

from msflow_jax.commands.distill import main, run

if __name__ == "__main__":
    run(main)
