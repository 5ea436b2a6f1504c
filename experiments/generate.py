"""The command of ``msflow_jax/commands/generate.py``: ``msflow generate``."""

from msflow_jax.commands.generate import main, run

if __name__ == "__main__":
    run(main)
