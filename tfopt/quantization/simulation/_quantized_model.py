"""The model that `quantize` returns: a Functional model whose quantizers know the kernels that feed them."""

import dataclasses
from typing import Any

import keras

from tfopt._host_ops import on_host
from tfopt._untracked import Untracked
from tfopt.graph import deep_recursion
from tfopt.kernels import (
    RECURRENT,
    TARGETS,
    HeldNumbers,
    IntegerModel,
    Kernel,
    KernelWeights,
    Numbers,
    is_packed,
)
from tfopt.quantization._report import LayerReport, QuantizationReport, measured
from tfopt.quantization.simulation._fake_quantize import FakeQuantize
from tfopt.quantization.simulation._fused_batch_norm import FusedBatchNormalization
from tfopt.quantization.simulation._integer_accumulation import IntegerAccumulation
from tfopt.quantization.simulation._quantized_lstm import QuantizedLSTM
from tfopt.quantization.simulation._step_counter import StepCounter, Timed

# Layers that read numbers in inference which depend on weights alone.
_HAVE_GRIDS = (IntegerAccumulation, FakeQuantize, FusedBatchNormalization, QuantizedLSTM)


@dataclasses.dataclass(frozen=True)
class KernelNames:
    """Which layers make the number that a site of a `FakeQuantize` rounds, by name.

    Attributes:
        quantizer: the `FakeQuantize` behind the kernel.
        site: the site of it.
        kernel: the kind of the kernel, see `tfopt.kernels.Kernel`.
        sources: the `FakeQuantize` layers whose grids the kernel's inputs are on.
        weights: the layer with the kernel; "" for a batch norm that stands alone.
        norm: the batch norm that is folded into the kernel, or the affine layer that stands alone; "" for none.
        activation: what a kernel without weights applies before it rounds: "relu", "relu6" or "".
        equation: of `keras.ops.einsum`, where the kernel multiplies matrices by one; else "".
    """

    quantizer: str
    site: int
    kernel: str
    sources: tuple[str, ...]
    weights: str = ""
    norm: str = ""
    activation: str = ""
    equation: str = ""


@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedModel(keras.Model, IntegerModel):
    """A Functional Keras model that computes on the int8 grid; what `tfopt.quantize` returns.

    It trains, saves and loads as any Keras model. Beside its layers it keeps the report of what was done to each
    operation, and which kernel feeds which quantizer: integer kernels add a bias that is itself rounded, to the
    step of their 32-bit sums (Jacob et al. 2018, arXiv 1712.05877, section 2.4), and in inference the
    simulation rounds it too.

    Args:
        inputs: Keras tensors, as for a Functional `keras.Model`.
        outputs: Keras tensors.

    Raises:
        ValueError: as a Functional `keras.Model`.

    Example: see `quantize`.
    """

    links: tuple[KernelNames, ...] = ()
    placed: QuantizationReport | None = None

    @property
    def report(self) -> QuantizationReport | None:
        """What was done to each layer, with the ranges and the weight errors of this moment."""
        with on_host():
            return self.placed and measured(self.placed, self)

    def wire(self, report: QuantizationReport, links: tuple[KernelNames, ...]) -> None:
        """Keeps the report, and names to each layer the others that it reads.

        Args:
            report: what was done to each layer.
            links: the kernels, by the names of their layers.
        """
        self.placed, self.links = report, links
        grids: dict[str, set[tuple[str, ...]]] = {}
        norms: dict[str, set[str]] = {}
        for link in links:
            grids.setdefault(link.weights, set()).add(link.sources)
            norms.setdefault(link.weights, set()).add(link.norm)
        for link in links:
            if link.kernel in RECURRENT:
                self._connect(link)
                continue
            kernel = self._kernel(link)
            self.get_layer(link.quantizer).set_kernel(link.site, kernel)
            layer = None if kernel.weights is None else kernel.weights.layer
            if kernel.weights is not None and layer is not None:
                layer.set_norm(kernel.weights.norm if norms[link.weights] == {link.norm} else None)
            if isinstance(layer, IntegerAccumulation):
                layer.set_input(kernel.sources[0] if grids[link.weights] == {link.sources} else None)
        for counter in [layer for layer in self.layers if isinstance(layer, StepCounter)]:
            for layer in self.layers:
                if isinstance(layer, Timed):
                    layer.set_counter(counter)

    def _connect(self, link: KernelNames) -> None:
        """Names to a recurrent layer the quantizers between which it computes."""
        ends = (self.get_layer(name) for name in (*link.sources, link.quantizer))
        self.get_layer(link.weights).connect(*ends, TARGETS[self.target].family)

    def _kernel(self, link: KernelNames) -> Kernel:
        layer, norm = (self.get_layer(name) if name else None for name in (link.weights, link.norm))
        sources = tuple(self.get_layer(name) for name in link.sources)
        packs = self.pack_weights and sources[0].num_bits == 8
        packed = layer is not None and packs and is_packed(layer.grid.bits)
        has_weights = link.kernel == "weights" or layer is not None
        weights = KernelWeights(layer, norm, packed) if has_weights else None
        family = TARGETS[self.target].family
        return Kernel(link.kernel, sources, weights, link.activation, family, link.equation)

    predict_function: Any
    _held: Untracked = Untracked(None)

    def make_predict_function(self, force: bool = False) -> Any:
        """As every Keras model's; on TensorFlow grids are computed outside of it, again only if a weight has moved."""
        if not self._can_hold():
            return super().make_predict_function(force)
        held, before = self._held.value, getattr(self, "predict_function", None)
        if held is not None:
            held.follow(self.weights)
        super().make_predict_function(force)
        if self.predict_function is not before:
            held = HeldNumbers(self.weights)
            with held.read():
                for layer in self.layers:
                    if isinstance(layer, _HAVE_GRIDS):
                        layer.compute_grids()
            held.hold()
            self._held = Untracked(held)
            self.predict_function = held.reading(self.predict_function)
        return self.predict_function

    def _can_hold(self) -> bool:
        if keras.backend.backend() != "tensorflow" or self.run_eagerly:
            return False
        import tensorflow as tf

        with self.distribute_strategy.scope():
            return not tf.distribute.has_strategy()

    def stored(self) -> dict[str, list[tuple[Any, Any]]]:
        """Of each layer with weights, by name: the step of the weights and the rounded bias.

        One pair for each grid of inputs that it is called on, and batch norm that it is called before.
        """
        kernels: dict[str, dict[Any, Kernel]] = {}
        for link in self.links:
            if link.kernel == "weights":
                kernel = self.get_layer(link.quantizer).kernel_at(link.site)
                kernels.setdefault(link.weights or link.norm, {})[link.norm, link.sources] = kernel
        with on_host(), Numbers().read():  # a quantizer's grid is asked for by each kernel that reads it
            return {name: [kernel.stored() for kernel in calls.values()] for name, calls in kernels.items()}

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["links"] = [dataclasses.asdict(link) for link in self.links]
        config["report"] = self.placed and self.placed.to_dict()
        config["pack_weights"] = self.pack_weights
        config["target"] = self.target
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "QuantizedModel":
        config = _with_ties(config)
        links = tuple(
            KernelNames(**{**link, "sources": tuple(link["sources"])}) for link in config.pop("links", ())
        )
        report, target = config.pop("report", None), config.pop("target", "litert")
        pack_weights = config.pop("pack_weights", True)
        with deep_recursion(len(config.get("layers", ()))):
            model = super().from_config(config, custom_objects)
        if report:
            rows = tuple(LayerReport(**row) for row in report["layers"])
            model.target, model.pack_weights = target, pack_weights
            said = tuple(report.get("warnings", ()))
            model.wire(QuantizationReport(report["name"], rows, target, said), links)
        return model


def _with_ties(config: Any) -> Any:
    """A config in which quantizers are called with `ties`, which models of version 0.1 call `halves`."""
    if isinstance(config, list):
        return [_with_ties(item) for item in config]
    if not isinstance(config, dict):
        return config
    renamed = {"ties" if name == "halves" else name: value for name, value in config.items()}
    return {name: _with_ties(value) for name, value in renamed.items()}
