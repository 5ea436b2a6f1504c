"""The command of ``msflow_jax/commands/segment.py``: ``msflow segment``."""

from msflow_jax.commands.segment import main, run

if __name__ == "__main__":
    run(main)
