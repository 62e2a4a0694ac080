"""Where the ranges of activations come from."""

import dataclasses
import functools

from tfopt.quantization._settings import check_setting, named
from tfopt.quantization.calibration import METHODS, Chooser

OBSERVERS = ("moving_average", "lsq", "pact")


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Ranges:
    """How the ranges of activations are found by calibration, and how they go on in training.

    Args:
        method: how a range is chosen from the calibration data. `"minmax"` takes all that was seen; `"percentile"`
            cuts a share off each end (Wu et al. 2020, arXiv 2004.09602), `"mse"` has the least squared error (Banner et
            al. 2019, arXiv 1810.05723), `"kl"` keeps the distribution best (Migacz 2017).
        percentile: with `method="percentile"` the percentage of values below the upper end, and above the lower one:
            99.99 cuts 0.01 % off each end.
        observer: how ranges go on in training. `"moving_average"`: they follow the batches' own; `"lsq"`: their step is
            learned (Esser et al. 2020, arXiv 1902.08153); `"pact"`: their ends are learned, with an L2 penalty (Choi et
            al. 2018, arXiv 1805.06085).
        momentum: `d` of the moving average `range <- d * range + (1 - d) * batch`, per step; in [0, 1]. It is
            debiased (Kingma & Ba 2015, arXiv 1412.6980, section 3): early steps weigh as much as in a plain mean, and
            calibration counts as many steps as it had batches. With 1 the ranges of calibration stay.
        clip_l2: `lambda` of PACT's penalty `lambda * c**2`, with `c` the clipping end in units of the calibrated one.
        freeze_step: the step after which ranges stand still; None for never.

    Raises:
        ValueError: an argument out of its range.

    Example:

    >>> from tfopt import QuantConfig, Ranges
    >>> QuantConfig(ranges=Ranges(method="mse", freeze_step=500))
    QuantConfig(ranges=Ranges(method='mse', freeze_step=500))
    """

    method: str = "minmax"
    percentile: float = 99.99
    observer: str = "moving_average"
    momentum: float = 0.99
    clip_l2: float = 1e-4
    freeze_step: int | None = None

    def __post_init__(self) -> None:
        for name, known in (("method", ("minmax", *METHODS)), ("observer", OBSERVERS)):
            check_setting(self, name, getattr(self, name) in known, f"one of {', '.join(map(repr, known))}")
        holds = 50 < self.percentile <= 100
        check_setting(self, "percentile", holds, "above 50 and at most 100: a percentage of the values")
        holds = 0 <= self.momentum <= 1
        check_setting(self, "momentum", holds, "in [0, 1]: the share of the old range that a step keeps")
        check_setting(self, "clip_l2", self.clip_l2 >= 0, "0 or more")
        holds = self.freeze_step is None or self.freeze_step >= 0
        check_setting(self, "freeze_step", holds, "None or a number of steps, 0 or more")

    def chooser(self) -> Chooser | None:
        """What chooses a range from a histogram of values; None to take all that was seen.

        >>> Ranges().chooser() is None
        True
        """
        if self.method == "minmax":
            return None
        settings = {"percentile": self.percentile} if self.method == "percentile" else {}
        return functools.partial(METHODS[self.method], **settings)

    def __repr__(self) -> str:
        return named(self)
