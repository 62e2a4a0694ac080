"""tfopt compress --model MODEL.keras --data DATA: small, fast, verified.

Writes model.tflite, model.keras, recipe.yaml and what was found into a new folder: report.html to look at, report.json
and report.md. By default: int8 without training. Exit code 1 if the file computes something else than the model, or
more was lost than --max_drop allows.

tfopt compress --model m.keras --data photos/ --prune 0.8 --target tflm

DATA is a folder of images (a folder for each class), a .npz, .npy, .csv or .tsv file, TFRecord files, a name of
keras.datasets, tfds:NAME, or package.module:function. Flags win over the recipe.
"""

import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import flags

from tfopt.commands._arguments import allowed_memory, load_model, take
from tfopt.commands._output import show, wants_json
from tfopt.recipes import Recipe, RecipeError, load_recipe, override, parse_value

_MODEL = flags.DEFINE_string("model", None, "The .keras file; it is not changed.")
_DATA = flags.DEFINE_string("data", None, "What to calibrate, train and measure with.")
_VALIDATION = flags.DEFINE_string(
    "validation", None, "What to measure with; else a fifth of the data is kept for that."
)
_RECIPE = flags.DEFINE_string(
    "recipe", None, "A YAML file, or a name that `tfopt recipes` lists; see recipe.yaml of any result."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder to write; by default the model's name and -compressed."
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace older results in the folder.")
_RESUME = flags.DEFINE_bool("resume", False, "Go on with a run that was killed or interrupted.")
_TENSORBOARD = flags.DEFINE_string("tensorboard", None, "Folder for TensorBoard's logs of the training.")
flags.declare_key_flag("json")
flags.declare_key_flag("max_memory")
flags.DEFINE_string("prune", None, "Fraction of the weights that become zero, as 0.8; or a pattern, as 2:4.")
flags.DEFINE_string("pattern", None, "Which weights become zero together: 2:4, 1x4, channels, heads.")
flags.DEFINE_enum("quantize", None, ("int8", "int16", "none"), "Type of activations.")
flags.DEFINE_integer("weight_bits", None, "Bits of weights, 1 to 8.")
flags.DEFINE_string(
    "budget",
    None,
    "What the file may take, as bytes=100k,latency=5ms: finds bits and channels of each layer.",
)
flags.DEFINE_float("channels", None, "Part of the channels of each layer to keep, as 0.5.")
flags.DEFINE_float("macs", None, "Multiply-accumulates to keep: a part, as 0.5, or a count.")
flags.DEFINE_float("params", None, "Parameters to keep: a part or a count.")
flags.DEFINE_integer("clusters", None, "Values that the weights of a kernel share, as 16.")
flags.DEFINE_float("factorize", None, "Parameters to keep, as 0.5, in products of smaller kernels.")
flags.DEFINE_bool("compress_weights", None, "Compress kernels, which TFLite Micro decodes as it runs.")
flags.DEFINE_bool("distill", None, "Let the original teach; by default where outputs are classes.")
flags.DEFINE_integer("epochs", None, "Of training: by default 0 to quantize alone, else 5.")
flags.DEFINE_integer("batch_size", None, "Samples in a step of training.")
flags.DEFINE_float("learning_rate", None, "Of Adam, at the beginning.")
flags.DEFINE_string("target", None, "litert, tflm, ethos-u, edgetpu or google-tensor.")
flags.DEFINE_float(
    "max_drop", None, "Points of accuracy that may be lost (or percent of an error); trains if need be."
)
flags.DEFINE_integer("seed", None, "Of everything that is random.")
_SET = flags.DEFINE_multi_string("set", [], "Any key of a recipe, as prune.scope=global; once for each.")
flags.mark_flags_as_required(["model", "data"])


def _pruned(value: str) -> tuple[str, Any]:
    """`0.8` is a sparsity, `2:4` a pattern."""
    if re.search("[:x]", value):
        return "prune.pattern", value
    return "prune.sparsity", parse_value(value)


def _quantized(value: str) -> tuple[str, Any]:
    return ("quantize", None) if value == "none" else ("quantize.activation_bits", int(value[3:]))


def _within(value: str) -> tuple[str, Any]:
    """`bytes=100k` is the largest file, for which bits are found; with others beside it, channels are as well."""
    limits = {}
    for text in value.split(","):
        match = re.fullmatch(r"(?:([a-z_]+)=)?([0-9.]+)(k|M|ms)?", text)
        if match is None:
            raise ValueError(
                f"The '--budget' flag must be of the form bytes=100k,latency=5ms. Got {value!r} instead."
            )
        limits[match[1] or "bytes"] = float(match[2]) * {"k": 1_000, "M": 1_000_000}.get(match[3], 1)
    if set(limits) == {"bytes"}:
        return "quantize.max_bytes", int(limits["bytes"])
    return "budget", limits


# Flag -> the key of the recipe that it sets, or how key and value are made.
_KEYS: dict[str, str | Callable[[Any], tuple[str, Any]]] = {
    "prune": _pruned,
    "pattern": "prune.pattern",
    "quantize": _quantized,
    "weight_bits": "quantize.weight_bits",
    "budget": _within,
    "channels": "shrink.channels",
    "macs": "shrink.macs",
    "params": "shrink.params",
    "clusters": "cluster.n_clusters",
    "factorize": "factorize.params",
    "compress_weights": "export.compress",
    "distill": lambda value: ("distill", True if value else None),
    "epochs": "train.epochs",
    "batch_size": "train.batch_size",
    "learning_rate": "train.learning_rate",
    "target": "target",
    "max_drop": "max_drop",
    "seed": "seed",
}


def main(arguments: list[str]) -> int:
    """Runs the command; the exit code is 1 if the result does not hold."""
    take(arguments)
    recipe = _recipe()
    # Models of Keras 2 take a list of one input; Keras 3 says so at each call.
    warnings.filterwarnings("ignore", "The structure of `inputs` doesn't match")
    import tfopt  # after the recipe: what is wrong there need not wait for TensorFlow

    folder = Path(_OUTPUT_DIR.value or f"{Path(_MODEL.value).stem}-compressed")
    try:
        with allowed_memory():
            result = tfopt.compress(
                load_model(_MODEL.value, compile=True),
                _DATA.value,
                recipe,
                output_dir=folder,
                validation=_VALIDATION.value,
                overwrite=_OVERWRITE.value,
                resume=_RESUME.value,
                say=_say,
                callbacks=_loggers(),
            )
    except ImportError as error:  # which names the package to install
        raise RuntimeError(str(error)) from error
    show(result)
    if not wants_json():
        names = ", ".join(sorted(path.name for path in folder.iterdir()))
        print(f"\nWritten to {folder}:\n{names}")
    return 0 if result.passed else 1


def _recipe() -> Recipe:
    """The recipe, with the keys that flags set."""
    recipe = load_recipe(_RECIPE.value) if _RECIPE.value else Recipe()
    values: dict[str, Any] = {}
    given: dict[str, str] = {}
    for text in _SET.value:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(
                f"The '--set' flag must be KEY=VALUE, as prune.scope=global. Got {text!r} instead."
            )
        values[key], given[key] = parse_value(value), "set"
    for name, made in _KEYS.items():
        value = flags.FLAGS[name].value
        if value is not None:
            key, value = (made, value) if isinstance(made, str) else made(value)
            values[key], given[key] = value, name
    try:
        return override(recipe, values)
    except RecipeError as error:
        flag = given.get(".".join(error.where))
        raise ValueError(f"{f'--{flag}: ' if flag else ''}{error}") from error


def _loggers() -> list[Any]:
    """The callbacks that log the training."""
    if _TENSORBOARD.value is None:
        return []
    import importlib.util

    import keras

    from tfopt.pipeline._output_folder import check_place

    if importlib.util.find_spec("tensorboard") is None:
        raise ImportError(
            "The '--tensorboard' flag takes TensorBoard. Install it with: pip install tensorboard"
        )
    check_place(Path(_TENSORBOARD.value) / "train", "The '--tensorboard' folder")
    try:
        _TENSORBOARD.value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"The '--tensorboard' folder must be in UTF-8: TensorFlow writes to no other. Got {_TENSORBOARD.value!r}."
        ) from error
    return [keras.callbacks.TensorBoard(_TENSORBOARD.value, write_graph=False)]


def _say(text: str) -> None:
    """Tells a person at a terminal what is going on."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)
