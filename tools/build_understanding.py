"""The command of ``msflow_jax/commands/build_understanding.py``: ``msflow build-understanding``."""

from msflow_jax.commands.build_understanding import main, run

if __name__ == "__main__":
    run(main)
