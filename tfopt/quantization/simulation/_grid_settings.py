"""The mixin of a layer whose weights have a grid: its settings, which a saved layer keeps."""

import dataclasses
from typing import Any

from tfopt.kernels import WeightGrid
from tfopt.quantization.simulation._step_counter import Timed


class GridSettings(Timed):
    """Mixin before a layer: takes the settings of a `WeightGrid` beside the layer's own arguments."""

    def __init__(
        self,
        *args: Any,
        weight_bits: int = 8,
        granularity: str = "channel",
        power_of_two: bool = False,
        ternary: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.grid = WeightGrid(
            bits=weight_bits, granularity=granularity, power_of_two=power_of_two, ternary=ternary
        )

    @classmethod
    def settings_for(cls, config: Any, kind: str) -> dict[str, Any]:
        """What a `QuantConfig` asks of a layer of a kind, as arguments of the constructor."""
        return config.weight_settings(kind)

    @property
    def weight_bits(self) -> int:
        """Bits of a weight's code."""
        return self.grid.bits

    def weights_and_rounded(self) -> tuple[Any, Any]:
        """The weights of which a report gives the error, and the same on their grid."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._settings()}  # type: ignore[misc]

    def _settings(self) -> dict[str, Any]:
        settings = dataclasses.asdict(self.grid)
        return {"weight_bits": settings.pop("bits"), **settings}
