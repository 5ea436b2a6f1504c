"""The settings of training and of use that all families share."""

from ml_collections import ConfigDict

from msflow_jax.settings import COUNT, SEED, Only, Setting, check, limit

_TABLE: dict[str, Setting] = {
    "train.seed": Setting(SEED, "seed of parameters, order of the images and noise"),
    "train.epochs": Setting("[0, inf)", "passes over the training images, where steps is 0"),
    "train.steps": Setting("[0, inf)", "length of the run; 0: as epochs says"),
    "train.batch": Setting(COUNT, "images of a step, on all devices together"),
    "train.learning_rate": Setting("(0, inf)", "peak of the one-cycle schedule"),
    "train.warmup": Setting("(0, 1)", "share of the steps before the peak"),
    "train.weight_decay": Setting("[0, inf)", "of AdamW"),
    "train.clip": Setting("[0, inf)", "largest norm of a gradient; 0: not limited"),
    "train.ema": Setting("[0, 1)", "weight of the past in the moving average of the parameters"),
    "train.flips": Setting("", "random flips, those that the data allow"),
    "train.balanced": Setting("", "draw every class equally often"),
    "train.shift": Setting("[0, inf)", "largest random shift, in pixels or latents"),
    "train.crop": Setting("[0, 16384]", "side of the random crops of a step; 0: whole images"),
    "train.mesh.data": Setting("-1 or [1, inf)", "devices that share a batch; -1: all the others"),
    "train.mesh.model": Setting("-1 or [1, inf)", "devices that share a large matrix (tensor)"),
    "train.sharding": Setting("replicated or fsdp or tensor", "how the parameters are split"),
    "train.accumulate": Setting(COUNT, "parts of a batch whose gradients are averaged"),
    "train.steps_per_dispatch": Setting("[0, inf)", "steps at once; 0: 1 on CPU, 10 elsewhere"),
    "train.log_every": Setting("[0, inf)", "steps between two rows of metrics; 0: none"),
    "train.eval_every": Setting("[0, inf)", "steps between two validations; 0: only the last step"),
    "train.keep": Setting(COUNT, "newest checkpoints that are kept, beside the best"),
    "train.select": Setting("", "metric that picks the best checkpoint; -NAME: less is better"),
    "train.init": Setting("", "workdir of another run: its parameters of one name and shape are taken"),
    "train.draws": Setting(COUNT, "noise draws of a validation"),
    "train.calibrate_every": Setting(
        "0 or [2, 1000]", "of so many validation subjects one chooses no checkpoint; 0: all do"
    ),
    "train.writers": Setting("tensorboard or wandb or mlflow", "logs beside metrics.jsonl"),
    "train.profile": Setting("", "write a trace of a few steps to the workdir"),
    "sample.seed": Setting(SEED, "seed of the noise at use"),
    "sample.batch": Setting(COUNT, "images at a time at use"),
    "sample.overlap": Setting("[0, 0.95]", "of the windows through which larger images are seen"),
}  # fmt: skip
TABLE = limit(
    _TABLE, {"train.epochs": Only("train.steps", (0,)), "sample.overlap": Only("train.crop")}
)


def train_config() -> ConfigDict:
    """The part ``train``, which all families share."""
    return ConfigDict(
        dict(
            seed=0,
            epochs=1000.0,
            steps=0,  # overrides epochs where positive
            batch=64,
            learning_rate=4e-4,
            warmup=0.1,
            weight_decay=0.0,
            clip=1.0,
            ema=0.999,  # published: 0.7
            flips=True,  # the data set's published flips
            balanced=False,  # draw every class equally often
            shift=0,  # random shifts by up to this many pixels (or latents)
            crop=0,  # side of random crops; larger images are then seen through windows of this side
            mesh=dict(data=-1, model=1),  # devices per axis; -1: the rest
            sharding="replicated",  # of the parameters: or "fsdp", "tensor"
            accumulate=1,  # parts of a batch whose gradients are averaged
            steps_per_dispatch=0,  # 0: 1 on CPU, where a loop is slow, 10 elsewhere
            log_every=50,
            eval_every=500,
            keep=2,
            select="val_auc",
            draws=1,  # noise draws of a validation
            calibrate_every=4,
            init="",  # workdir of another run, whose parameters of the same name and shape are taken
            writers=("tensorboard",),  # beside metrics.jsonl; also "wandb", "mlflow"
            profile=False,  # write a trace of a few steps to the workdir
        )
    )


def check_train(train: ConfigDict) -> None:
    """Raises a ValueError for a part ``train`` with a number out of range, or that does no step."""
    check(TABLE, train, "train")
    if not (train.steps or train.epochs):
        raise ValueError("train.steps=0 and train.epochs=0: one of them must be positive")
    if train.batch % train.accumulate:
        raise ValueError(
            f"train.accumulate={train.accumulate} must divide train.batch={train.batch}"
        )
