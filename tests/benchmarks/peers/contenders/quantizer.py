"""ai-edge-quantizer, which quantizes a float .tflite file; it has no part in training."""

from collections.abc import Callable
from typing import Any

from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe

from tests.benchmarks.peers.work import Work


def calibrated(work: Work, chosen: Any) -> Any:
    tool = quantizer.Quantizer(str(work.float_file), chosen)
    ((key, signature),) = Interpreter(str(work.float_file)).get_signature_list().items()
    samples = [dict(zip(signature["inputs"], call, strict=True)) for call in work.calls()]
    tool.quantize(tool.calibrate({key: samples})).export_model(str(work.path), overwrite=True)


def int8(work: Work) -> Any:
    calibrated(work, recipe.static_wi8_ai8())


def int16(work: Work) -> Any:
    calibrated(work, recipe.static_wi8_ai16())


def weights_only(work: Work) -> Any:
    tool = quantizer.Quantizer(str(work.float_file), recipe.weight_only_wi8_afp32())
    tool.quantize().export_model(str(work.path), overwrite=True)


METHODS: dict[str, Callable[[Work], Any]] = {
    "PTQ int8": int8,
    "PTQ int16x8": int16,
    "weights only, int8": weights_only,
}
