"""The command of ``msflow_jax/commands/serve.py``: ``msflow serve``."""

from msflow_jax.commands.serve import main, run

if __name__ == "__main__":
    run(main)
