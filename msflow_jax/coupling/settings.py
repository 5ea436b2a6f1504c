"""The values and the meaning of every setting of coupling flows."""

from msflow_jax.inference.settings import TABLE as CLASSIFYING
from msflow_jax.settings import COUNT, Setting

TABLE: dict[str, Setting] = {
    "model.family": Setting("", "kind of flow"),
    "model.layout": Setting("", "steps from the image to the latents, in words"),
    "model.conditioner.name": Setting("", "network of a step; it brings settings of its own"),
    "model.conditioner.width": Setting(COUNT, "its channels"),
    "model.conditioner.widths": Setting(COUNT, "channels of its layers"),
    "model.conditioner.blocks": Setting(COUNT, "its residual blocks"),
    "model.conditioner.spatial_bias": Setting("", "whether it knows the place in the image"),
    "model.conditioner.dropout": Setting("[0, 1)", "share of its features dropped in training"),
    "model.conditioner.dense": Setting("", "whether its head sees the whole image"),
    "model.bound": Setting("(0, inf)", "largest absolute log-scale of a pass"),
    "model.passes": Setting("1 or 2", "coupling passes of a step"),
    "model.mixing": Setting("plu or dense", "how a step mixes the channels"),
    "model.split_prior": Setting("normal or learned", "distribution of the latents that are split off"),
    "model.dequantisation": Setting("uniform or variational", "noise on the grey levels"),
    "model.logit_margin": Setting("[0, 0.5)", "margin of the logit before the flow; 0: no logit"),
    "model.foreground": Setting("", "image file: the mask of the steps named foreground"),
    "model.discriminative_weight": Setting("[0, 1]", "weight of the cross-entropy in the loss"),
    "model.remat": Setting("", "recompute each step in the backward pass, to save memory"),
    "model.reversible": Setting("", "invert each step there: memory does not grow with the depth"),
    "sample.classify.draws": Setting(COUNT, "dequantisation draws that are pooled"),
    **CLASSIFYING,
    "sample.generate.temperature": Setting("[0, inf)", "standard deviation of the latents"),
    "sample.generate.per_class": Setting(
        "[0, inf)", "images of each class that an evaluation draws; 0: none"
    ),
}  # fmt: skip
