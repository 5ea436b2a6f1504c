"""The command of ``msflow_jax/commands/export.py``: ``msflow export``."""

from msflow_jax.commands.export import main, run

if __name__ == "__main__":
    run(main)
