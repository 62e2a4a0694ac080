"""Why the converter refused a model: the first cause among many words."""

import re
from collections.abc import Sequence

from tfopt._text import raised_in_call

# 'tf.Erf' op is neither a custom op nor a flex op, at loc(fused["Erf:", "model/layer/Erf"]) or within a callsite
_NO_KERNEL = re.compile(r"loc\((.*)\): (?:error: )?'tf\.(\w+)' op is neither a custom op nor a flex op")
_PLACE = re.compile(r'"([^"@]+)"')


def why_refused(error: BaseException, log: Sequence[str]) -> str:
    """The cause, and the way out where one is known.

    Args:
        error: what the converter raised.
        log: the lines that it printed meanwhile.

    >>> line = 'x: error: loc(fused["Erf:", "net_1/gauss_1/Erf"]): \\'tf.Erf\\' op is neither a custom op nor a flex op'
    >>> why_refused(RuntimeError(line), [])
    "TFLite has no kernel for Erf (in 'gauss_1'). Take that part out of the model, or write it with other operations."
    """
    lines = [*str(error).splitlines(), *log]
    lacking = dict.fromkeys(_described(*match.groups()) for match in map(_NO_KERNEL.search, lines) if match)
    if lacking:
        return (
            f"TFLite has no kernel for {', '.join(lacking)}. Take that part out of the model, or write it with other "
            "operations."
        )
    first = next((line.split("error:", 1)[1].strip() for line in lines if "error:" in line), "")
    return first or _of_python(error)


def _described(place: str, operator: str) -> str:
    """An operator and the layer that it stands in: the model's own name comes first in its path."""
    paths = [path.split("/") for path in _PLACE.findall(place) if "/" in path]
    layer = next((path[1] for path in paths if len(path) > 2), "")
    return f"{operator} (in {layer!r})" if layer else operator


def _of_python(error: BaseException) -> str:
    """What was raised while the model was traced, without what Keras puts around it."""
    layer, words = raised_in_call(str(error))
    where = f" in the call of a {layer}" if layer else ""
    return f"{type(error).__name__}{where}: {' '.join(words.split())}"
