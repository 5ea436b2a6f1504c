"""The command of ``msflow_jax/commands/pull.py``: ``msflow pull``."""

from msflow_jax.commands.pull import main, run

if __name__ == "__main__":
    run(main)
