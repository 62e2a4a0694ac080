"""Mistakes in calls of `quantize`, its config, and `check`: what is called, and a word that the message has."""

import numpy as np
from keras import layers

import tfopt
from tests.bad_calls.things import EMPTY, INF, NAN, RAGGED, Call, of_size_0, spoilt_rows, unbuilt

QUANTIZE: dict[str, tuple[Call, str]] = {
    "quantize: a path": (lambda c: tfopt.quantize("m.keras", c.x), "'model'"),
    "quantize: None": (lambda c: tfopt.quantize(None, c.x), "'model'"),
    "quantize: a layer": (lambda c: tfopt.quantize(layers.Dense(2), c.x), "'model'"),
    "quantize: not built": (lambda c: tfopt.quantize(unbuilt(), c.x), "built"),
    "quantize: a quantized model": (lambda c: tfopt.quantize(c.quantized, c.x), "quantized"),
    "quantize: an input of size 0": (lambda c: tfopt.quantize(of_size_0(), np.zeros((4, 0))), "size 0"),
    "quantize: NaN in a weight": (lambda c: tfopt.quantize(c.spoilt(NAN), c.x), "'hidden'"),
    "quantize: an infinite weight": (lambda c: tfopt.quantize(c.spoilt(INF), c.x), "'hidden'"),
    "quantize: no samples": (lambda c: tfopt.quantize(c.net, None), "'calibration'"),
    "quantize: empty samples": (lambda c: tfopt.quantize(c.net, EMPTY), "at least one sample"),
    "quantize: an empty list": (lambda c: tfopt.quantize(c.net, []), "at least one sample"),
    "quantize: ragged samples": (lambda c: tfopt.quantize(c.net, RAGGED), "'calibration'"),
    "quantize: text": (lambda c: tfopt.quantize(c.net, np.array([["a"] * 4])), "numbers"),
    "quantize: a path as samples": (lambda c: tfopt.quantize(c.net, "x.npz"), "'calibration'"),
    "quantize: a number as samples": (lambda c: tfopt.quantize(c.net, 3), "'calibration'"),
    "quantize: NaN in samples": (lambda c: tfopt.quantize(c.net, spoilt_rows(c.x, NAN)), "finite"),
    "quantize: infinite samples": (lambda c: tfopt.quantize(c.net, spoilt_rows(c.x, INF)), "finite"),
    "quantize: other width": (lambda c: tfopt.quantize(c.net, c.x[:, :2]), "'calibration'"),
    "quantize: too many axes": (lambda c: tfopt.quantize(c.net, c.x[None, None]), "'calibration'"),
    "quantize: wrong keys": (lambda c: tfopt.quantize(c.net, {"colour": c.x}), "'row'"),
    "quantize: complex samples": (lambda c: tfopt.quantize(c.net, c.x.astype(complex)), "numbers"),
    "quantize: a config that is text": (lambda c: tfopt.quantize(c.net, c.x, "int8"), "QuantConfig"),
    "quantize: a config that is a dict": (
        lambda c: tfopt.quantize(c.net, c.x, {"weight_bits": 4}),
        "QuantConfig",
    ),
    "quantize: a config that is a class": (
        lambda c: tfopt.quantize(c.net, c.x, tfopt.QuantConfig),
        "QuantConfig",
    ),
    "quantize: Ranges as config": (lambda c: tfopt.quantize(c.net, c.x, tfopt.Ranges()), "QuantConfig"),
    "quantize: unknown rounding": (lambda c: tfopt.quantize(c.net, c.x, rounding="up"), "'rounding'"),
    "quantize: max_drop as text": (lambda c: tfopt.quantize(c.net, c.x, max_drop="1%"), "'max_drop'"),
    "quantize: max_drop below 0": (lambda c: tfopt.quantize(c.net, c.x, max_drop=-1.0), "'max_drop'"),
    "QuantConfig: bits": (lambda c: tfopt.QuantConfig(weight_bits=0), "weight_bits"),
    "QuantConfig: bits as text": (lambda c: tfopt.QuantConfig(weight_bits="8"), "weight_bits"),
    "QuantConfig: half a bit": (lambda c: tfopt.QuantConfig(weight_bits=7.5), "weight_bits"),
    "QuantConfig: 12 bits": (lambda c: tfopt.QuantConfig(activation_bits=12), "activation_bits"),
    "QuantConfig: granularity": (lambda c: tfopt.QuantConfig(granularity="row"), "granularity"),
    "QuantConfig: target": (lambda c: tfopt.QuantConfig(target="esp"), "'target'"),
    "QuantConfig: no such target": (lambda c: tfopt.QuantConfig.for_target("esp32"), "'esp32'"),
    "QuantConfig: ranges as text": (lambda c: tfopt.QuantConfig(ranges="mse"), "Ranges"),
    "QuantConfig: overrides": (lambda c: tfopt.QuantConfig(overrides=["a"]), "overrides"),
    "QuantConfig: an override's key": (
        lambda c: tfopt.QuantConfig(overrides={"a": {"bits": 4}}),
        "bits",
    ),
    "QuantConfig: an open bracket": (
        lambda c: tfopt.quantize(c.net, c.x, tfopt.QuantConfig(overrides={"(": None})),
        "expression",
    ),
    "QuantConfig: an override of no layer": (
        lambda c: tfopt.quantize(c.net, c.x, tfopt.QuantConfig(overrides={"nowhere": None})),
        "nowhere",
    ),
    "QuantConfig: input_ranges": (
        lambda c: tfopt.QuantConfig(input_ranges={"row": (1.0, -1.0)}),
        "input_ranges",
    ),
    "QuantConfig: an input that is not there": (
        lambda c: tfopt.quantize(c.net, c.x, tfopt.QuantConfig(input_ranges={"x": (0.0, 1.0)})),
        "'x'",
    ),
    "QuantConfig: delay": (lambda c: tfopt.QuantConfig(delay=-1), "delay"),
    "Ranges: method": (lambda c: tfopt.Ranges(method="median"), "method"),
    "Ranges: percentile": (lambda c: tfopt.Ranges(percentile=101), "percentile"),
    "Ranges: momentum": (lambda c: tfopt.Ranges(momentum=2.0), "momentum"),
    "check: a path": (lambda c: tfopt.check("m.keras"), "'model'"),
    "check: target": (lambda c: tfopt.check(c.net, "esp32"), "'esp32'"),
    "check: target None": (lambda c: tfopt.check(c.net, None), "'target'"),
}
