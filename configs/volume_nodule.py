"""NoduleMNIST3D, lung nodules in CT at 64 voxels a side, classified and drawn by one flow.

Published: at 28, MedMNIST's ResNets AUC 83.5 to 88.6, accuracy 83.5 to 84.8, auto-sklearn 91.4, 87.4;
no result of a generative classifier was found.
Command: python -m experiments.train --config=configs/volume_nodule.py --config.data.root=FOLDER
On two cores: configs/volume_nodule.py:cpu, where volumes are averaged to 32 voxels a side. Training set:
1158 nodules. Sides of 64 and 32 are not the published figures' 28: say so beside a comparison.
Results of ours: none (not run).
"""

from msflow_jax.config import default_config
from msflow_jax.symmetric.recipes import volume


def get_config(variant: str = ""):
    """64 voxels a side on a GPU, or with ``cpu`` 32 on two cores."""
    config = default_config()
    config.data.name = "nodulemnist3d"
    return volume(config, variant)
