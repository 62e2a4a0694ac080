"""Rows of `cases.py` whose file TFLite Micro does not compute to the last code, and why; the support matrix lists them.

The least share of equal outputs holds for 24 samples; what is measured, on 400: the share, and the most steps off.
"""

# By bits of the activations: row -> (least share, what was measured, reason).
INEXACT: dict[int, dict[str, tuple[float, str, str]]] = {
    8: {
        "Multiply with a table": (
            0.9,
            "96.4 %, 1 step",
            "the rule of MUL is not given the codes of constants",
        ),
    },
    16: {
        "Add of a table": (0.95, "99.8 %, 1 step", "the rule of ADD is not given the codes of constants"),
        "Attention, masked": (0.95, "99.9 %, 1 step", "in float, where TFLite Micro sums in another order"),
        "MultiHeadAttention, masked and causal": (
            0.95,
            "99.8 %, 1 step",
            "in float, where TFLite Micro sums in another order",
        ),
        "Resizing": (0.5, "99.4 %, 1 step", "bilinear in float, where TFLite Micro sums in another order"),
        "UpSampling2D": (
            0.5,
            "99.8 %, 1 step",
            "bilinear in float, where TFLite Micro sums in another order",
        ),
    },
}
