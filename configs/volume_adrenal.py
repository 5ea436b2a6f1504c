"""AdrenalMNIST3D, shapes of adrenal glands at 64 voxels a side, classified and drawn by one flow.

Published: at 28, MedMNIST's ResNets (2.5-D, 3-D, ACS) AUC 71.8 to 83.9, accuracy 72.1 to 77.2 (one class
alone: 76.8), auto-sklearn 82.8, 80.2; no result of a generative classifier was found.
Command: python -m experiments.train --config=configs/volume_adrenal.py --config.data.root=FOLDER
On two cores: configs/volume_adrenal.py:cpu, where volumes are averaged to 32 voxels a side. Training
set: 1188 shapes. Sides of 64 and 32 are not the published figures' 28: say so beside a comparison.
Measured (:cpu, three seeds, test once): AUC 87.1 +- 0.6, balanced accuracy 78.2 +- 1.1, accuracy 77.6
+- 2.0; validation AUC 82.7 +- 2.4 (98 shapes). 14 minutes of two cores each. What it draws are faint
smears, no glands. The full size is not run.
"""

from msflow_jax.config import default_config
from msflow_jax.symmetric.recipes import volume


def get_config(variant: str = ""):
    """64 voxels a side on a GPU, or with ``cpu`` 32 on two cores."""
    config = default_config()
    config.data.name = "adrenalmnist3d"
    return volume(config, variant)
