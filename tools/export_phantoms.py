"""The command of ``msflow_jax/commands/export_phantoms.py``: ``msflow export-phantoms``."""

from msflow_jax.commands.export_phantoms import main, run

if __name__ == "__main__":
    run(main)
