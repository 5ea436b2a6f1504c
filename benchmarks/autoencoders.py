"""Frozen, fine-tuned or trained with the flow: what the autoencoder of a latent flow should be.

    python benchmarks/autoencoders.py --runs=runs/autoencoders --autoencoder=autoencoders/taef2 \\
        --config=configs/latent_pneumonia.py:cpu --overrides data.root=FOLDER model.resize=64

Every way gives one autoencoder a seed; on each the same flow is then trained from the start, with the
latents brought to unit spread. ``fine-tuned`` is ``msflow finetune-vae``; ``joint`` adds the loss of a
flow on the latents of the batch, which reach both (brought to unit spread by the batch, or they would
shrink to nothing); ``joint, label`` adds its label's error alone. All three train for as many steps.
A run that is there is not made again.
"""

import argparse
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import best_validation, call, keep

WAYS = ("frozen", "fine-tuned", "joint", "joint, label")
METRICS = ("auc", "accuracy", "nll")


def parse() -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder of everything made")
    parser.add_argument("--autoencoder", type=Path, required=True, help="the one to start from")
    parser.add_argument("--config", required=True, help="of the flow")
    parser.add_argument("--overrides", nargs="*", default=[], help="of it, as train.steps=9")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=600, help="of the autoencoder")
    parser.add_argument("--batch", type=int, default=8, help="of the autoencoder")
    parser.add_argument("--weight", type=float, default=0.1, help="of the flow's loss")
    parser.add_argument("--probed", type=int, default=256, help="images that get a lesion")
    parser.add_argument("--split", default="val", choices=("val", "test"))
    parser.add_argument("--output", help="JSON file for the figures")
    return parser.parse_args()


def make(o: argparse.Namespace, config: Any, splits: Any, way: str, seed: int) -> Path:
    """The autoencoder of a way: trained where it is not there yet."""
    from msflow_jax.latent import autoencoder as autoencoders
    from msflow_jax.latent.finetuning import FineTuning, train_classifier, training_config
    from msflow_jax.latent.reconstruction import make_measure, make_validation
    from msflow_jax.symmetric.family import FAMILY
    from msflow_jax.training import Stage, read_params, run_stages
    from msflow_jax.training.source import source_of

    if way == "frozen":
        return o.autoencoder
    output = o.runs / f"{named(o, way)}_{seed}"
    if output.exists():
        return output
    side = config.model.resize or splits.info.side
    if way == "fine-tuned":
        numbers = dict(side=side, steps=o.steps, batch=o.batch, seed=seed)
        call(
            "finetune_vae", f"--autoencoder={o.autoencoder}", f"--config={o.config}",
            f"--output={output}", *(f"--{name}={value}" for name, value in numbers.items()),
            *(f"--config.{one}" for one in o.overrides if one.startswith("data.")),
        )  # fmt: skip
        return output
    autoencoder, pretrained = autoencoders.load(o.autoencoder)
    classifier = train_classifier(splits.train, len(splits.info.classes), side, seed=seed)
    tuning = FineTuning(autoencoder, pretrained, side, classifier)
    flow = FAMILY.build(config, splits.info, FAMILY.prepare(config, splits)).inside
    model = Joint(tuning, flow, o.weight, way == "joint")
    training = training_config(steps=o.steps, batch=o.batch, learning_rate=1e-4, seed=seed)
    validate = make_validation(make_measure(autoencoder, side, o.batch), splits.val.images)
    stage = Stage(
        "", model.loss, source_of(splits.train, "device", 0, splits.info.flips), training,
        start=lambda tree: model.start(seed), validate=lambda p: validate(p["autoencoder"]),
    )  # fmt: skip
    folder = output.with_name(f"{output.name}-run")
    run_stages([stage], folder)
    _, params = read_params(folder, training.select)
    autoencoders.save(output, autoencoder, params["autoencoder"], {"way": way, "seed": seed})
    return output


def named(o: argparse.Namespace, way: str) -> str:
    """A way in the name of a folder, with the weight that it depends on."""
    return way.replace(", ", "_") + (f"_{o.weight:g}" if way.startswith("joint") else "")


@dataclasses.dataclass(frozen=True)
class Joint:
    """Fine-tuning with the loss of a flow on the latents; that flow is thrown away afterwards."""

    tuning: Any
    flow: Any
    weight: float
    image: bool

    def start(self, seed: int) -> dict[str, Any]:
        """The autoencoder as it is given, and a fresh flow."""
        import jax

        return {
            "autoencoder": self.tuning.pretrained, "flow": self.flow.init(jax.random.key(seed)),
        }  # fmt: skip

    def loss(self, params: Any, batch: Mapping[str, Any], key: Any, *, train: bool) -> Any:
        """The loss of both, and its parts."""
        import jax

        from msflow_jax.nets.ops import resize
        from msflow_jax.symmetric.objective import flow_matching_loss

        k_tuning, k_flow = jax.random.split(key)
        loss, parts = self.tuning.loss(params["autoencoder"], batch, k_tuning, train=train)
        images = resize(batch["image"], self.tuning.side)
        latents, _ = self.tuning.autoencoder.moments(params["autoencoder"], images)
        axes = (0, 1, 2)
        mean, std = latents.mean(axes, keepdims=True), latents.std(axes, keepdims=True)
        inside = {"image": (latents - mean) / (std + 1e-3), "label": batch["label"]}
        more, found = flow_matching_loss(
            self.flow, params["flow"], inside, k_flow, train, self.image
        )
        return loss + self.weight * more, parts | {f"flow_{k}": v for k, v in found.items()}


def quality(o: argparse.Namespace, folder: Path, split: Any, side: int) -> dict[str, Any]:
    """PSNR, SSIM and what is kept of lesions, of held-out images."""
    from msflow_jax import data
    from msflow_jax.latent import autoencoder as autoencoders
    from msflow_jax.latent.lesions import make_probe
    from msflow_jax.latent.reconstruction import make_measure

    autoencoder, params = autoencoders.load(folder)
    probe = make_probe(autoencoder, side, data.some(split, o.probed).images, o.batch)
    return make_measure(autoencoder, side, o.batch)(params, split.images) | probe(params)


def train_flow(o: argparse.Namespace, folder: Path, way: str, seed: int) -> dict[str, float]:
    """What a flow on these latents says of the split, at the step that validation chose."""
    workdir = o.runs / f"flow_{named(o, way)}_{seed}"
    overrides = [*o.overrides, f"model.latent.autoencoder={folder}", f"train.seed={seed}"]
    overrides += ["model.latent.precondition=True", "sample.generate.per_class=0"]
    call(
        "train", f"--config={o.config}", f"--workdir={workdir}", "--no-evaluate",
        *(f"--config.{one}" for one in overrides),
    )  # fmt: skip
    if o.split == "test":
        kept = workdir / "evaluations" / "test" / "evaluation.json"
        if not kept.exists():
            call("evaluate", f"--workdir={workdir}", "--split=test")
        found = json.loads(kept.read_text(encoding="utf-8"))["classification"]
        return {"auc": found["auc_probability"], "accuracy": found["accuracy"], "nll": found["nll"]}
    best = best_validation(workdir)
    return {name: best[f"val_{name}"] for name in METRICS}


def main() -> None:
    """The command."""
    o = parse()

    from msflow_jax import data
    from msflow_jax.config import load_config
    from msflow_jax.latent.lesions import in_words
    from msflow_jax.parallel.startup import use_cache

    use_cache()
    given = [f"--config={o.config}", *(f"--config.{one}" for one in o.overrides)]
    config = load_config([*given, f"--config.model.latent.autoencoder={o.autoencoder}"])
    splits = data.load(config.data)
    side = config.model.resize or splits.info.side
    record: dict[str, Any] = {**vars(o), "runs": None, "autoencoder": o.autoencoder.name}
    record["ways"] = {}
    for way in o.ways:
        for seed in o.seeds:
            folder = make(o, config, splits, way, seed)
            found = train_flow(o, folder, way, seed) | quality(o, folder, splits[o.split], side)
            record["ways"].setdefault(way, []).append(found)
            print(
                f"{way}, seed {seed}: {', '.join(f'{k} {found[k]:.3f}' for k in METRICS)}; PSNR "
                f"{found['psnr']:.1f} dB, SSIM {found['ssim']:.3f}, {in_words(found['lesions'])}"
            )
    keep(record, o.output)


if __name__ == "__main__":
    main()
