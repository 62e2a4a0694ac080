"""tfopt verify MODEL.keras FILE.tflite --data SAMPLES.npz: exit code 1 if they differ."""

from absl import flags

import tfopt
from tfopt._files import check_parent
from tfopt.commands._arguments import load_model, load_samples, take, try_files
from tfopt.commands._output import check_ending, check_page, show

_DATA = flags.DEFINE_string(
    "data", None, "A .npz file with an array 'x', or a .npy file: inputs, samples first."
)
_TOLERANCE = flags.DEFINE_integer(
    "tolerance", 1, "Quantization steps by which outputs may differ.", lower_bound=0
)
_RUNTIME = flags.DEFINE_list(
    "runtime",
    ["xnnpack"],
    "The runtime of the file: xnnpack, builtin, reference or tflm, or several with commas.",
)
_PER_TENSOR = flags.DEFINE_bool(
    "per_tensor", None, "Compare the tensors inside too. By default on samples whose outputs differ."
)
_OVERLAY = flags.DEFINE_string(
    "model_explorer",
    None,
    "Write a JSON file that Model Explorer shows over the graph: the difference in steps at each node.",
)
flags.declare_key_flag("json")
flags.declare_key_flag("max_memory")
flags.declare_key_flag("report")
flags.mark_flag_as_required("data")


def main(arguments: list[str]) -> int:
    """Runs the command."""
    model, path = take(arguments, "MODEL.keras", "FILE.tflite")
    check_page()
    if _OVERLAY.value:
        check_ending(_OVERLAY.value, "--model_explorer", ".json")
        check_parent(_OVERLAY.value, "--model_explorer")
    try_files([path], _RUNTIME.value)
    samples, _ = load_samples(_DATA.value)
    report = tfopt.verify(
        load_model(model),
        path,
        samples,
        tolerance=_TOLERANCE.value,
        runtime=_RUNTIME.value,
        per_tensor=True if _OVERLAY.value else _PER_TENSOR.value,
    )
    show(report, [model, path], page="verify")
    if _OVERLAY.value:
        report.to_model_explorer(_OVERLAY.value)
    return 0 if report.passed else 1
