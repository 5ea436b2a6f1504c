"""Image flows of FrEIA 0.2 and normflows 1.7.3 in the layout of ``coupling_speed.py``, for timings.

Three levels; each squeezes, takes its steps and, but for the last, leaves half of the channels behind.
A step is an activation norm, an invertible 1 x 1 convolution and one affine coupling of half of the
channels, whose network is conv 3 x 3, ReLU, conv 1 x 1, ReLU, conv 3 x 3. All parts are the libraries'
own, put together as their examples do:

* FrEIA: ``AllInOneBlock``, the label's one-hot map joined to every coupling's input. Its 1 x 1
  convolution is a fixed rotation.
* normflows: ``GlowBlock`` with factorised 1 x 1 convolutions. The library hands no label to
  a coupling: the class enters at ``GlowBase`` alone. ``film=True`` puts a feature-wise modulation by
  the label behind the first convolution of each coupling instead, as our flow has it.
"""

import math
from collections.abc import Sequence

import FrEIA.framework as ff
import FrEIA.modules as fm
import normflows as nf
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, int, int]


def latent_shapes(shape: Shape, levels: int) -> list[Shape]:
    """``(C, H, W)`` of the latents of images ``(C, H, W)``, in the order in which they leave."""
    channels, height, width = shape
    shapes = []
    for level in range(levels):
        channels, height, width = 4 * channels, height // 2, width // 2
        if level < levels - 1:
            channels //= 2
        shapes.append((channels, height, width))
    return shapes


class FreiaFlow(nn.Module):
    """A conditional FrEIA flow over images ``[B, C, H, W]``."""

    def __init__(self, shape: Shape, classes: int, width: int, steps: int, levels: int) -> None:
        super().__init__()
        self.classes, self.shapes = classes, latent_shapes(shape, levels)

        def subnet(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(),
                nn.Conv2d(width, width, 1), nn.ReLU(),
                zeroed(nn.Conv2d(width, outputs, 3, padding=1)),
            )  # fmt: skip

        block = {"subnet_constructor": subnet, "permute_soft": True}
        nodes = [ff.InputNode(*shape)]
        labels, latents = [], []
        for level, (_, *sides) in enumerate(self.shapes):
            labels.append(ff.ConditionNode(classes, *sides))
            nodes.append(ff.Node(nodes[-1], fm.IRevNetDownsampling, {}))
            for _ in range(steps):
                nodes.append(ff.Node(nodes[-1], fm.AllInOneBlock, block, conditions=labels[-1]))
            if level < levels - 1:
                nodes.append(ff.Node(nodes[-1], fm.Split, {}))
                latents.append(ff.OutputNode(nodes[-1].out1))
        latents.append(ff.OutputNode(nodes[-1]))
        self.net = ff.GraphINN([*nodes, *labels, *latents])

    def _maps(self, labels: Tensor) -> list[Tensor]:
        hot = F.one_hot(labels, self.classes).float()[:, :, None, None]
        return [hot.expand(-1, -1, *sides) for _, *sides in self.shapes]

    def log_prob(self, x: Tensor, labels: Tensor) -> Tensor:
        """Nats of images given their classes, ``[B]``."""
        latents, log_det = self.net(x, c=self._maps(labels))
        return log_det + sum(_normal(z) for z in latents)

    def sample(self, labels: Tensor) -> Tensor:
        """An image for each label."""
        latents = [torch.randn(len(labels), *shape) for shape in self.shapes]
        return self.net(latents, c=self._maps(labels), rev=True, jac=False)[0]


class Film(nn.Module):
    """A convolution, and ``h (1 + gamma) + beta`` by the label that was last told to it."""

    def __init__(self, conv: nn.Conv2d, classes: int) -> None:
        super().__init__()
        self.conv = conv
        self.table = nn.Embedding(classes, 2 * conv.out_channels)
        nn.init.zeros_(self.table.weight)
        self.labels = torch.zeros(1, dtype=torch.long)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, width, H, W]``."""
        gamma, beta = self.table(self.labels)[:, :, None, None].chunk(2, dim=1)
        return self.conv(x) * (1 + gamma) + beta


class NormFlow(nn.Module):
    """normflows' multiscale Glow over images ``[B, C, H, W]``."""

    def __init__(
        self, shape: Shape, classes: int, width: int, steps: int, levels: int, film: bool = False
    ) -> None:
        super().__init__()
        shapes = latent_shapes(shape, levels)
        flows: list[Sequence[nn.Module]] = []
        for channels, *_ in reversed(shapes):
            # All levels but the last pass on as many channels as they leave behind.
            total = channels if not flows else 2 * channels
            blocks = [nf.flows.GlowBlock(total, width, scale_map="exp") for _ in range(steps)]
            flows.append([*blocks, nf.flows.Squeeze()])
        base = [nf.distributions.GlowBase(s, None if film else classes) for s in reversed(shapes)]
        merges = [nf.flows.Merge() for _ in range(levels - 1)]
        self.film, self.films = film, []
        if film:
            for net in [m.net for m in nn.ModuleList(map(nn.ModuleList, flows)).modules()
                        if isinstance(m, nf.nets.ConvNet2d)]:  # fmt: skip
                net[0] = Film(net[0], classes)
                self.films.append(net[0])
        self.net = nf.MultiscaleFlow(base, flows, merges, class_cond=not film)

    def _tell(self, labels: Tensor) -> None:
        for film in self.films:
            film.labels = labels

    def log_prob(self, x: Tensor, labels: Tensor) -> Tensor:
        """Nats of images given their classes, ``[B]``."""
        self._tell(labels)
        return self.net.log_prob(x, labels)

    def sample(self, labels: Tensor) -> Tensor:
        """An image for each label."""
        self._tell(labels)
        return self.net.sample(len(labels), labels)[0]

    def class_log_probs(self, x: Tensor) -> Tensor:
        """``[B, K]`` where only the base knows the class: one pass through the flow for all.

        Raises:
            ValueError: the couplings know it too.
        """
        if self.film:
            raise ValueError(
                "with film=True the latents depend on the class: call log_prob for each"
            )
        latents, log_det = self.net.inverse_and_log_det(x)
        classes = self.net.q0[0].num_classes
        each = []
        for label in range(classes):
            labels = torch.full((len(x),), label)
            terms = [q.log_prob(z, labels) for q, z in zip(self.net.q0, latents, strict=True)]
            each.append(log_det + sum(terms))
        return torch.stack(each, dim=1)


def zeroed(conv: nn.Conv2d) -> nn.Conv2d:
    """The layer with parameters 0."""
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    return conv


def _normal(z: Tensor) -> Tensor:
    """Standard normal nats of ``[B, C, H, W]``, ``[B]``."""
    return -0.5 * (z.square().flatten(1).sum(1) + z[0].numel() * math.log(2 * math.pi))
