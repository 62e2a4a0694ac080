"""What the commands that apply one technique have in common."""

import sys
import textwrap
import warnings
from pathlib import Path

from absl import flags

from tfopt._files import is_same_file
from tfopt._report import TERMINAL_WIDTH
from tfopt.commands._arguments import allowed_memory, load_model, take
from tfopt.commands._output import check_page, show, wants_json
from tfopt.recipes import Recipe

DATA = flags.DEFINE_string("data", None, "What to measure with: anything that tfopt compress takes.")
flags.mark_flag_as_required("data")


def apply(name: str, arguments: list[str], recipe: Recipe) -> int:
    """Applies the technique to the model of the first argument, and writes the second.

    Returns:
        The exit code: 1 if a .tflite file computes something else than the model.
    """
    source, output = take(arguments, "MODEL.keras", "OUTPUT")
    if is_same_file(source, output):
        raise ValueError(f"The output must not be the model's own file. Got {source!r} for both.")
    check_page()
    # Models of Keras 2 take a list of one input; Keras 3 says so at each call.
    warnings.filterwarnings("ignore", "The structure of `inputs` doesn't match")
    # Imported here: what is wrong with flags need not wait for TensorFlow.
    from tfopt.pipeline._apply import apply_technique

    try:
        model = load_model(source, compile=True)
        with allowed_memory():
            result = apply_technique(name, model, DATA.value, recipe, Path(output), say)
    except ImportError as error:  # which names the package to install
        raise RuntimeError(str(error)) from error
    show(result, [source, output], page=name)
    if not wants_json():
        print("\n" + textwrap.fill(f"{output}: {result.words}.", TERMINAL_WIDTH))
    return 0 if result.passed else 1


def say(text: str) -> None:
    """Tells a person at a terminal what is going on."""
    if text and sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)
