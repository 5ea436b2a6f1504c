"""The command of ``msflow_jax/commands/retrieve.py``: ``msflow retrieve``."""

from msflow_jax.commands.retrieve import main, run

if __name__ == "__main__":
    run(main)
