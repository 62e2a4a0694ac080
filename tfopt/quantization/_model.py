"""The model that `quantize` returns: a Functional model whose quantizers know the kernels that feed them."""

import dataclasses
from typing import Any

import keras

from tfopt.quantization._report import LayerReport, QuantizationReport


@dataclasses.dataclass(frozen=True)
class Link:
    """Which layers make the number that a site of a `FakeQuantize` rounds, by name.

    Attributes:
        quantizer: the `FakeQuantize` behind the kernel.
        site: the site of it.
        source: the `FakeQuantize` whose grid the kernel's input is on.
        weights: the layer with the kernel; "" for a batch norm that stands alone.
        norm: the batch norm that is folded into the kernel, or that stands alone; "" for none.
    """

    quantizer: str
    site: int
    source: str
    weights: str = ""
    norm: str = ""


@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedModel(keras.Model):
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

    report: QuantizationReport | None = None
    links: tuple[Link, ...] = ()

    def describe(self, report: QuantizationReport, links: tuple[Link, ...]) -> None:
        """Keeps the report, and ties each quantizer to the layers that a link names."""
        self.report, self.links = report, links
        for link in links:
            self.get_layer(link.quantizer).follow(
                link.site,
                self.get_layer(link.source),
                self.get_layer(link.weights) if link.weights else None,
                self.get_layer(link.norm) if link.norm else None,
            )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["links"] = [dataclasses.asdict(link) for link in self.links]
        config["report"] = self.report and self.report.to_dict()
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "QuantizedModel":
        config = dict(config)
        links = tuple(Link(**link) for link in config.pop("links", ()))
        report = config.pop("report", None)
        model = super().from_config(config, custom_objects)
        if report:
            rows = tuple(LayerReport(**row) for row in report["layers"])
            model.describe(QuantizationReport(report["name"], rows), links)
        return model
