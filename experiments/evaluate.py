"""The command of ``msflow_jax/commands/evaluate.py``: ``msflow evaluate``."""

from msflow_jax.commands.evaluate import main, run

if __name__ == "__main__":
    run(main)
