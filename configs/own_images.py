"""Your own images: a folder with a sub-folder of each class, or a CSV (path,label[,patient][,split]).

Command: python -m experiments.train --config=configs/own_images.py --config.data.root=FOLDER
Looks at the images and at the machine, chooses side, channels, network, batch and steps, and says so;
what is given on the command line stays as given. :cpu chooses the size for a few CPU cores in any case.
"""

from msflow_jax.config import check_variant, default_config


def get_config(variant: str = ""):
    """A symmetric flow in pixels; what fits the data is chosen when training starts."""
    config = default_config()
    config.data.name = "own:cpu" if check_variant(variant) else "own"
    return config
