"""ResNets as PyTorch keeps them: random tensors by several namings, and torch's features."""

import numpy as np
import pytest

BLOCKS = (2, 1, 1, 1)


def state(bottleneck=True, biases=False, width=4, blocks=BLOCKS, seed=0):
    """Random tensors by torchvision's names: the convolutions' and, far from fresh, the norms'."""
    rng, out = np.random.default_rng(seed), {}

    def convolution(name, features, channels, size):
        scale = np.sqrt(2 / (channels * size**2))
        out[f"{name}.weight"] = rng.normal(0, scale, (features, channels, size, size))
        if biases:
            out[f"{name}.bias"] = rng.normal(0, 0.2, features)

    def norm(name, features):
        out[f"{name}.weight"] = rng.uniform(0.5, 1.5, features)
        out[f"{name}.bias"] = rng.normal(0, 0.2, features)
        out[f"{name}.running_mean"] = rng.normal(0, 0.2, features)
        out[f"{name}.running_var"] = rng.uniform(0.01, 1.5, features)

    convolution("conv1", width, 3, 7)
    norm("bn1", width)
    channels = width
    for stage, count in enumerate(blocks, 1):
        inner = width * 2 ** (stage - 1)
        sizes = [(inner, 1), (inner, 3), (4 * inner, 1)] if bottleneck else [(inner, 3)] * 2
        for i in range(count):
            block, begin = f"layer{stage}.{i}", channels
            for j, (features, size) in enumerate(sizes, 1):
                convolution(f"{block}.conv{j}", features, channels, size)
                norm(f"{block}.bn{j}", features)
                channels = features
            if begin != channels or (stage > 1 and not i):
                convolution(f"{block}.downsample.0", channels, begin, 1)
                norm(f"{block}.downsample.1", channels)
    out["fc.weight"] = rng.normal(0, 1, (10, channels))
    out["fc.bias"] = rng.normal(0, 1, 10)
    out = {name: array.astype(np.float32) for name, array in out.items()}
    counters = {k.replace("mean", ""): k for k in out if k.endswith(".running_mean")}
    counted = {k.replace("running_", "num_batches_tracked"): np.array(7) for k in counters}
    return {**out, **counted}


def torch_features(tensors, images, bottleneck, keras=False, blocks=BLOCKS):
    """torchvision's architecture in torch, or that of the Keras network; images `[B, H, W, 3]`."""
    torch = pytest.importorskip("torch")
    nn, epsilon = torch.nn, 1.001e-5 if keras else 1e-5

    def conv(channels, features, size, stride=1):
        return nn.Conv2d(channels, features, size, stride, (size - 1) // 2, bias=keras)

    class Block(nn.Module):
        def __init__(self, channels, width, stride):
            super().__init__()
            out = 4 * width if bottleneck else width
            first, second = (stride, 1) if keras or not bottleneck else (1, stride)
            self.conv1 = conv(channels, width, 1 if bottleneck else 3, first)
            self.bn1 = nn.BatchNorm2d(width, epsilon)
            self.conv2 = conv(width, width, 3, second)
            self.bn2 = nn.BatchNorm2d(width, epsilon)
            if bottleneck:
                self.conv3 = conv(width, out, 1)
                self.bn3 = nn.BatchNorm2d(out, epsilon)
            self.downsample = nn.Identity()
            if stride > 1 or channels != out:
                self.downsample = nn.Sequential(
                    conv(channels, out, 1, stride), nn.BatchNorm2d(out, epsilon)
                )

        def forward(self, x):
            h = torch.relu(self.bn1(self.conv1(x)))
            h = self.bn2(self.conv2(h))
            if bottleneck:
                h = self.bn3(self.conv3(torch.relu(h)))
            return torch.relu(h + self.downsample(x))

    class Net(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.conv1, self.bn1 = conv(3, width, 7, 2), nn.BatchNorm2d(width, epsilon)
            self.maxpool = nn.MaxPool2d(3, 2, 1)
            channels = width
            for stage, count in enumerate(blocks, 1):
                row = []
                for i in range(count):
                    row.append(Block(channels, width, 2 if stage > 1 and not i else 1))
                    channels = 4 * width if bottleneck else width
                setattr(self, f"layer{stage}", nn.Sequential(*row))
                width *= 2
            self.fc = nn.Linear(channels, 10)

        def forward(self, x):
            x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            return x.mean((2, 3))

    net = Net(tensors["conv1.weight"].shape[0])
    net.load_state_dict({k: torch.from_numpy(np.asarray(v)) for k, v in tensors.items()})
    with torch.no_grad():
        return net.eval()(torch.from_numpy(images.transpose(0, 3, 1, 2))).numpy()


def prefixed(prefix):
    return lambda tensors: {prefix + name: array for name, array in tensors.items()}


def children(prefix):
    """The naming of an `nn.Sequential` of the children, without the classifier."""
    places = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}

    def rename(tensors):
        parts = {name: name.partition(".") for name in tensors if not name.startswith("fc.")}
        return {f"{prefix}{places[p[0]]}.{p[2]}": tensors[name] for name, p in parts.items()}

    return rename


def without(*names):
    return {k: v for k, v in state().items() if k not in names}
