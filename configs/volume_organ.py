"""OrganMNIST3D, eleven organs in CT at 64 voxels a side, classified and drawn by one flow.

Published: at 28, MedMNIST's ResNets AUC 97.4 to 99.6, accuracy 76.9 to 90.7; an equivariant network
of 38 thousand parameters (ILPOResNet-50) 99.2, 87.9; no result of a generative classifier was found.
Command: python -m experiments.train --config=configs/volume_organ.py --config.data.root=FOLDER
On two cores: configs/volume_organ.py:cpu, the published 28 voxels a side. Training set: 971 organs. No
flips: kidneys, lungs and femurs are told by their side.
Results of ours: none (not run).
"""

from msflow_jax.config import default_config
from msflow_jax.symmetric.recipes import volume


def get_config(variant: str = ""):
    """64 voxels a side on a GPU, or with ``cpu`` 28 on two cores."""
    config = default_config()
    config.data.name = "organmnist3d"
    config = volume(config, variant)
    if variant:
        config.data.side = 28
    return config
