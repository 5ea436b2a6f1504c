"""``python -m msflow_jax``: the command ``msflow``."""

from msflow_jax.commands.main import main

if __name__ == "__main__":
    main()
