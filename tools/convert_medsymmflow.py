"""The command of ``msflow_jax/commands/convert_medsymmflow.py``: ``msflow convert-medsymmflow``."""

from msflow_jax.commands.convert_medsymmflow import main, run

if __name__ == "__main__":
    run(main)
