"""The command of ``msflow_jax/commands/classify.py``: ``msflow classify``."""

from msflow_jax.commands.classify import main, run

if __name__ == "__main__":
    run(main)
