"""Mistakes in calls of what writes, reads and runs files: what is called, and a word that the message has."""

import numpy as np

import tfopt
from tests.bad_calls.things import EMPTY, NAN, RAGGED, Call, of_size_0, spoilt_rows, unbuilt
from tfopt import compression, runtimes

FILES: dict[str, tuple[Call, str]] = {
    "export: no path": (lambda c: tfopt.export(c.quantized, None), "'path'"),
    "export: a number": (lambda c: tfopt.export(c.quantized, 3), "'path'"),
    "export: no folder": (lambda c: tfopt.export(c.quantized, c.folder / "no" / "a.tflite"), "folder"),
    "export: a folder": (lambda c: tfopt.export(c.quantized, c.folder), "folder"),
    "export: no model": (lambda c: tfopt.export(None, c.folder / "a.tflite"), "'model'"),
    "export: no such file": (lambda c: tfopt.export("none.keras", c.folder / "a.tflite"), "none.keras"),
    "export: not built": (lambda c: tfopt.export(unbuilt(), c.folder / "a.tflite"), "built"),
    "export: an input of size 0": (lambda c: tfopt.export(of_size_0(), c.folder / "a.tflite"), "size 0"),
    "export: format": (lambda c: tfopt.export(c.net, c.folder / "a.tflite", format="int7"), "'format'"),
    "export: int8 without samples": (
        lambda c: tfopt.export(c.net, c.folder / "a.tflite", format="int8"),
        "calibration",
    ),
    "export: batch_size": (lambda c: tfopt.export(c.net, c.folder / "a.tflite", batch_size=0), "batch_size"),
    "export: half a batch": (
        lambda c: tfopt.export(c.net, c.folder / "a.tflite", batch_size=1.5),
        "batch_size",
    ),
    "export: shapes": (lambda c: tfopt.export(c.net, c.folder / "a.tflite", shapes={"x": (4,)}), "'x'"),
    "export: shapes as a tuple": (
        lambda c: tfopt.export(c.net, c.folder / "a.tflite", shapes=(4,)),
        "'shapes'",
    ),
    "export: type of a float file": (
        lambda c: tfopt.export(c.net, c.folder / "a.tflite", input_dtype="int8"),
        "input_dtype",
    ),
    "export: type": (
        lambda c: tfopt.export(c.quantized, c.folder / "a.tflite", input_dtype="int7"),
        "input_dtype",
    ),
    "export: NaN in a weight": (lambda c: tfopt.export(c.spoilt(NAN), c.folder / "a.tflite"), "'hidden'"),
    "verify: a path as the model": (lambda c: tfopt.verify("q.keras", c.file, c.x), "'model'"),
    "verify: no such file": (lambda c: tfopt.verify(c.quantized, "none.tflite", c.x), "none.tflite"),
    "verify: None as the file": (lambda c: tfopt.verify(c.quantized, None, c.x), "'path'"),
    "verify: no samples": (lambda c: tfopt.verify(c.quantized, c.file, EMPTY), "at least one sample"),
    "verify: other width": (lambda c: tfopt.verify(c.quantized, c.file, c.x[:, :3]), "'samples'"),
    "verify: ragged": (lambda c: tfopt.verify(c.quantized, c.file, RAGGED), "'samples'"),
    "verify: NaN": (lambda c: tfopt.verify(c.quantized, c.file, spoilt_rows(c.x, NAN)), "finite"),
    "verify: runtime": (lambda c: tfopt.verify(c.quantized, c.file, c.x, runtime="onnx"), "'runtime'"),
    "verify: tolerance": (lambda c: tfopt.verify(c.quantized, c.file, c.x, tolerance=-1), "'tolerance'"),
    "verify: tolerance as text": (
        lambda c: tfopt.verify(c.quantized, c.file, c.x, tolerance="1"),
        "'tolerance'",
    ),
    "verify: wrong keys": (lambda c: tfopt.verify(c.quantized, c.file, {"x": c.x}), "row"),
    "compare: a model alone": (lambda c: tfopt.compare(c.net, c.x, c.y), "'models'"),
    "compare: nothing": (lambda c: tfopt.compare({}, c.x, c.y), "'models'"),
    "compare: a list": (lambda c: tfopt.compare([c.net], c.x, c.y), "'models'"),
    "compare: None": (lambda c: tfopt.compare({"a": None}, c.x, c.y), "'models'"),
    "compare: no such file": (lambda c: tfopt.compare({"a": "none.tflite"}, c.x, c.y), "none.tflite"),
    "compare: fewer labels": (lambda c: tfopt.compare({"a": c.net}, c.x, c.y[:4]), "'y'"),
    "compare: labels out of range": (lambda c: tfopt.compare({"a": c.net}, c.x, c.y + 1), "classes"),
    "compare: labels below 0": (lambda c: tfopt.compare({"a": c.net}, c.x, c.y - 1), "classes"),
    "compare: one-hot labels of more classes": (
        lambda c: tfopt.compare({"a": c.net}, c.x, np.eye(7)[c.y]),
        "'y'",
    ),
    "compare: labels as text": (lambda c: tfopt.compare({"a": c.net}, c.x, list("abcdefghijklmnop")), "'y'"),
    "compare: NaN labels": (lambda c: tfopt.compare({"a": c.net}, c.x, np.full(16, NAN)), "'y'"),
    "compare: metric": (lambda c: tfopt.compare({"a": c.net}, c.x, c.y, metric="acuracy"), "'metric'"),
    "compare: runs": (lambda c: tfopt.compare({"a": c.net}, c.x, c.y, latency_runs=0), "latency_runs"),
    "compare: ragged": (lambda c: tfopt.compare({"a": c.net}, RAGGED), "'x'"),
    "bench: nothing": (lambda c: runtimes.bench([]), "'files'"),
    "bench: runs": (lambda c: runtimes.bench([c.file], runs=1), "runs"),
    "bench: a path": (lambda c: runtimes.bench("q.tflite"), "'files'"),
    "run: runtime": (lambda c: runtimes.run(c.file, c.x, runtime="x"), "'runtime'"),
    "run: samples": (lambda c: runtimes.run(c.file, None), "samples"),
    "inspect: a number": (lambda c: runtimes.inspect(3), "'path'"),
    "inspect: a folder": (lambda c: runtimes.inspect(c.folder), "folder"),
    "inspect: other bytes": (lambda c: runtimes.inspect(b"not a model"), ".tflite"),
    "pack: no such file": (lambda c: compression.pack("none.tflite", c.folder / "a.tfpk"), "none.tflite"),
    "pack: None": (lambda c: compression.pack(c.file, None), "'output'"),
    "unpack: a .tflite": (lambda c: compression.unpack(c.file, c.folder / "b.tflite"), "tfopt pack"),
    "sizes: a number": (lambda c: compression.sizes(3), "'files'"),
}
