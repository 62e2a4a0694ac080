"""The networks of `networks.py` in PyTorch, channels first, with the weights that Keras trained."""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.benchmarks.peers.work import Work, check


def convolution(channels: int, filters: int, size: int, strides: int, **options: Any) -> nn.Sequential:
    """With a batch norm, and padded as Keras pads: what is odd goes to the right and below."""
    total = max(size - strides, 0)
    odd = [nn.ZeroPad2d((total // 2, total - total // 2) * 2)] if total % 2 else []
    options["padding"] = 0 if odd else total // 2
    return nn.Sequential(*odd, nn.Conv2d(channels, filters, size, strides, **options), norm(filters))


def norm(channels: int) -> nn.BatchNorm2d:
    """With Keras' settings."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Residual(nn.Module):
    """Two convolutions, and what goes around them."""

    def __init__(self, channels: int, filters: int, strides: int) -> None:
        super().__init__()
        self.first = convolution(channels, filters, 3, strides)
        self.second = convolution(filters, filters, 3, 1)
        self.around = nn.Conv2d(channels, filters, 1, strides) if strides > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.second(torch.relu(self.first(x))) + self.around(x))


class Pooled(nn.Module):
    """The mean over pixels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def resnet8() -> nn.Sequential:
    """The image classification network of MLPerf Tiny."""
    blocks = [Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2)]
    return nn.Sequential(convolution(3, 16, 3, 1), nn.ReLU(), *blocks, Pooled(), nn.Linear(64, 10))


def ds_cnn(filters: int = 32) -> nn.Sequential:
    """Depthwise separable convolutions on one channel."""
    parts = [convolution(1, filters, 3, 1, bias=False), nn.ReLU()]
    for strides in (2, 1, 1):
        parts += [convolution(filters, filters, 3, strides, groups=filters, bias=False), nn.ReLU()]
        parts += [convolution(filters, filters, 1, 1, bias=False), nn.ReLU()]
    return nn.Sequential(*parts, Pooled(), nn.Linear(filters, 10))


def network(work: Work) -> nn.Sequential:
    """The network of a task with its weights.

    Raises:
        ValueError: it does not compute what Keras' network does.
    """
    torch.manual_seed(work.seed)
    about = json.loads(work.float_file.with_name("task.json").read_text())
    options = {key: value for key, value in about["arguments"].items() if key == "filters"}
    model = {"resnet8": resnet8, "ds_cnn": ds_cnn}[about["network"]](**options)
    with torch.no_grad(), np.load(work.float_file.with_name("weights.npz")) as weights:
        for own, given in _pairs(model, dict(weights)):
            own.copy_(torch.from_numpy(np.ascontiguousarray(given)))
    with np.load(work.float_file.with_name("data.npz")) as data:
        expected = data["float_outputs"]
    images = torch.from_numpy(work.x_test[: len(expected)]).permute(0, 3, 1, 2)
    with torch.no_grad():
        check(model.eval()(images).numpy(), expected, about["name"])
    return model


def _pairs(model: nn.Module, weights: dict[str, np.ndarray]) -> Iterator[tuple[torch.Tensor, np.ndarray]]:
    """Each tensor and its values: layers of a kind are in the same order in both."""
    seen: dict[str, int] = defaultdict(int)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            depthwise = module.groups > 1
            kernel, *bias = _next("depthwise_conv2d" if depthwise else "conv2d", seen, weights)
            yield module.weight, kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)
            yield from zip([module.bias] if bias else [], bias, strict=True)
        elif isinstance(module, nn.BatchNorm2d):
            own = (module.weight, module.bias, module.running_mean, module.running_var)
            yield from zip(own, _next("batch_normalization", seen, weights), strict=True)
        elif isinstance(module, nn.Linear):
            kernel, bias = _next("dense", seen, weights)
            yield module.weight, kernel.T
            yield module.bias, bias


def _next(kind: str, seen: dict[str, int], weights: dict[str, np.ndarray]) -> list[np.ndarray]:
    name = f"{kind}_{seen[kind]}" if seen[kind] else kind
    seen[kind] += 1
    return [weights[key] for key in sorted(key for key in weights if key.rpartition("/")[0] == name)]
