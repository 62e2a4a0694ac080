"""A batch of inputs that carries what a teacher would say about it."""

from typing import Any

_INPUTS, _TEACHER = "tfopt_inputs", "tfopt_teacher"


def attach(inputs: Any, entries: dict[str, Any]) -> dict[str, Any]:
    """Inputs and a teacher's cached outputs as one structure, which `fit` batches and shuffles together."""
    return {_INPUTS: inputs, _TEACHER: entries}


def split_attached(x: Any) -> tuple[Any, Any]:
    """The inputs, and what is attached to them or None.

    >>> from tfopt.distillation._attached import attach, split_attached
    >>> split_attached(attach([1, 2], {"output": [3, 4]})), split_attached([1, 2])
    (([1, 2], {'output': [3, 4]}), ([1, 2], None))
    """
    if isinstance(x, dict) and set(x) == {_INPUTS, _TEACHER}:
        return x[_INPUTS], x[_TEACHER]
    return x, None
