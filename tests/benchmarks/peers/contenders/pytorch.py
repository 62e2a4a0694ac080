"""PyTorch: Torch-Pruning, torchao's PT2E quantization, and LiteRT Torch, which writes the file.

PyTorch has no way to read a Keras network: its user writes the same one, which is not counted among a method's lines.
"""

import math
from collections.abc import Callable
from typing import Any

import litert_torch
import numpy as np
import torch
import torch_pruning
from litert_torch.quantize.pt2e_quantizer import PT2EQuantizer, get_symmetric_quantization_config
from litert_torch.quantize.quant_config import QuantConfig
from torch import nn
from torchao.quantization.pt2e import move_exported_model_to_eval, move_exported_model_to_train
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e, prepare_qat_pt2e

from tests.benchmarks.peers.networks_torch import network
from tests.benchmarks.peers.work import Work


class ChannelsLast(nn.Module):
    """A network that takes images as the file does."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images.permute(0, 3, 1, 2))


class Predicting:
    """`predict` of a quantized network, which takes one image at a time."""

    def __init__(self, network: Any) -> None:
        self.network = network

    def predict(self, images: np.ndarray, verbose: int = 0) -> np.ndarray:
        del verbose
        with torch.no_grad():
            return np.concatenate([self.network(torch.from_numpy(image[None])).numpy() for image in images])


def train(model: Any, work: Work, epochs: int) -> Any:
    steps = epochs * work.steps
    optimizer = torch.optim.Adam(model.parameters(), work.rate, eps=1e-7)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    for _, (x, y) in zip(range(steps), work.batches(), strict=False):
        loss = nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model


def exported(model: Any, work: Work, batch: int = 1) -> Any:
    sample = torch.from_numpy(work.calibration[:batch])
    shapes = ({0: torch.export.Dim.DYNAMIC},) if batch > 1 else None
    return torch.export.export(model, (sample,), dynamic_shapes=shapes).module()


def write(model: Any, quantizer: Any, work: Work) -> Any:
    sample = (torch.from_numpy(work.calibration[:1]),)
    config = QuantConfig(pt2e_quantizer=quantizer)
    litert_torch.convert(model, sample, quant_config=config).export(str(work.path))
    return Predicting(model)


def quantized(model: Any, work: Work) -> Any:
    quantizer = PT2EQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(exported(model.eval(), work), quantizer)
    for (sample,) in work.calls():
        prepared(torch.from_numpy(sample))
    return write(convert_pt2e(prepared, fold_quantize=False), quantizer, work)


def ptq(work: Work) -> Any:
    return quantized(ChannelsLast(network(work)), work)


def qat(work: Work) -> Any:
    config = get_symmetric_quantization_config(is_per_channel=True, is_qat=True)
    quantizer = PT2EQuantizer().set_global(config)
    prepared = prepare_qat_pt2e(exported(ChannelsLast(network(work)).train(), work, 2), quantizer)
    train(move_exported_model_to_train(prepared), work, work.epochs)
    move_exported_model_to_eval(prepared)
    return write(convert_pt2e(prepared, fold_quantize=False), quantizer, work)


def half_the_macs(work: Work) -> Any:
    model = ChannelsLast(network(work))
    sample = torch.from_numpy(work.calibration[:1])
    before, _ = torch_pruning.utils.count_ops_and_params(model, sample)
    importance = torch_pruning.importance.GroupMagnitudeImportance()
    pruner = torch_pruning.pruner.BasePruner(
        model,
        sample,
        importance,
        pruning_ratio=0.6,
        iterative_steps=60,
        global_pruning=True,
        ignored_layers=[model.network[-1]],
    )
    while torch_pruning.utils.count_ops_and_params(model, sample)[0] > before / 2:
        pruner.step()
    return quantized(train(model.train(), work, work.epochs), work)


METHODS: dict[str, Callable[[Work], Any]] = {
    "PTQ int8": ptq,
    "QAT": qat,
    "half the MACs, PTQ": half_the_macs,
}
