"""Content of pages, from the reports themselves: with everything, with little, and with names that mean harm."""

import json

from tfopt.analysis import Damage, SensitivityReport
from tfopt.budgets import LayerChoice, Point, SearchReport
from tfopt.page import Content
from tfopt.pruning import LayerSparsity, PruningReport
from tfopt.quantization import LayerReport, QuantizationReport
from tfopt.runtimes import (
    ChangedSample,
    ClassReport,
    CompareReport,
    CompareRow,
    InspectReport,
    KernelValues,
    ModelClasses,
    OperatorRow,
    OutputParity,
    TensorParity,
    VerifyReport,
)

EVIL = "<script>alert(1)</script>"


def _compare(name, metric="accuracy", classes=2):
    value = 0.5 if metric else None
    rows = (
        CompareRow("original", "Keras", value, 4000, 3000, 4000, 0.5, None, 0.0, {32: 1000}),
        CompareRow(name, "LiteRT", value, 4100, 3000, 4000, 0.05, 800, 0.0, {32: 1000}),
        CompareRow("compressed", "LiteRT", value, 1200, 600, 1000, 0.01, 200, 0.5, {8: 1000}),
    )
    said = ClassReport(
        classes,
        4,
        (
            ModelClasses("original", 2, ((0, 0, 2), (1, 0, 2))),
            ModelClasses("compressed", 2, ((0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 1))),
        ),
        (ChangedSample(7, 1, 0, 1), ChangedSample(9, 0, 0, 1)),
        ("cat", name),
    )
    return CompareReport(metric or "accuracy", 4, 50, rows, said if metric == "accuracy" else None)


def _verify(name, passed=True):
    output = OutputParity(name, "int8", 0.1, 40, 1.0, 1.0, 1.0, 0, 0.0, 0.0, 0, {"0": 40}, passed)
    tensor = TensorParity("xnnpack", name, "CONV_2D", "conv;bias", 0.1, 64, 0, 1.0, 0)
    kernels = ()
    return VerifyReport(
        "m.tflite", passed, 4, 1, (output,), {"CONV_2D": 1}, {}, 0, (), {8: 1000}, 0.5, kernels, tensors=(tensor,) * 13
    )  # fmt: skip


def _inspect(name):
    operator = OperatorRow(
        "CONV_2D+RELU", (1, 8, 8, 2), "int8", 0.1, 8, 0.5, 900, ("x",), ("conv;bias",), ("k",)
    )
    kernels = (
        KernelValues("k", (2, 3, 3, 1), 8, 18, 18, 0.5, True, -128.5, 127.5, (0, 9, 9)),
        KernelValues(name, (2, 3), 32, 24, 6, 0.0, False, -1.0, 1.0, (3, 3)),
    )
    return InspectReport("m.tflite", (operator,), 1200, 600, {8: 1000}, 0.5, 200, 0, 0, (), kernels)


def _quantize(name):
    done = LayerReport(name, "Conv2D", "int8", "", name, "q", 8, 256, 40.0, -1.0, 1.0, 0.01, 1.0, 42.0)
    left = LayerReport("lambda", "Lambda", "float", f"no kernel for {name}")
    return QuantizationReport("net", (done, left), warnings=(f"{name} is wide",))


def _sensitivity(name):
    rows = tuple(
        Damage(path, "Conv2D", technique, technique[:6], 100, 0.01 * at, 0.1, 40.0, 41.0)
        for at, path in enumerate((name, "last"))
        for technique in ("4-bit weights", "zeros in half")
    )
    return SensitivityReport(
        "net", 64, "accuracy", 0.9, 0.1, (*rows, Damage(name, "Add", "2:4", "2:4", reason=name))
    )


def _search(name):
    points = tuple(
        Point(
            {"compressed_bytes": bytes_, "latency": 0.25},
            loss,
            (LayerChoice(name, bits, 0.0), LayerChoice("last", 8, 0.5, 16)),
            "tflm",
            channels={name: 0.5},
        )
        for bytes_, loss, bits in ((500, 0.3, 2), (900, 0.01, 4), (1500, 0.0, 8))
    )
    budget = {"compressed_bytes": 1000.0, "latency": 0.5}
    return SearchReport("net", budget, None, points, points[1], dict(points[1].costs), None, 1.0)


def everything(name: str = "conv", classes: int = 2) -> Content:
    """A page with all sections, in which layers, models and classes have a name."""
    prune = PruningReport("net", (LayerSparsity(name, reason=f"as {name} is small"),), 100)
    reports = {
        "quantize": _quantize(name),
        "prune": prune,
        "inspect": _inspect(name),
        "verify": _verify(name),
        "compare": _compare(name, classes=classes),
        "sensitivity": _sensitivity(name),
        "search": _search(name),
    }
    result = {
        "title": f"{name} for LiteRT",
        "verdict": "verified",
        "passed": True,
        "epochs": 2,
        "done": {"quantize": name},
        "notes": [name, "a note"],
        "history": {"loss": [1.0, 0.5], name: [0.1, 0.2]},
        "recipe": {"versions": {"tfopt": "1"}},
        "reports": {key: report.to_dict() for key, report in reports.items()} | {"export": _export()},
    }
    return Content.of_result(json.loads(json.dumps(result)), f"target: litert # {name}\n")


def _export():
    kernels = [{"name": "k", "reason": "few zeros"}]
    return {"sparse_kernels": kernels, "compression": {"kernels": [{"name": "k", "reason": "too small"}]}}


def nothing() -> Content:
    """A page about a result without techniques, training, metric or integers."""
    report = _inspect("conv").to_dict() | {"kernels": []}
    reports = {"inspect": report, "compare": _compare("float", metric=None).to_dict()}
    result = {
        "title": "net",
        "verdict": "v",
        "passed": False,
        "epochs": 0,
        "done": {},
        "notes": [],
        "history": {},
    }
    return Content.of_result(json.loads(json.dumps({**result, "reports": reports})), "")


def one(name: str) -> Content:
    """A page about one report, as a command writes it."""
    made = {"verify": _verify("conv", passed=False), "compare": _compare("a", metric="mse")}[name]
    return Content(json.loads(json.dumps({name: made.to_dict()})), title="a.tflite")
