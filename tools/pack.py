"""The command of ``msflow_jax/commands/pack.py``: ``msflow pack``."""

from msflow_jax.commands.pack import main, run

if __name__ == "__main__":
    run(main)
