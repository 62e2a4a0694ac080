"""Losses for single outputs of models with several: which loss reads which output, as in `compile(loss={...})`."""

import dataclasses
from typing import Any

import keras

from tfopt.distillation.losses._keras_losses import as_distillation_loss
from tfopt.distillation.losses._loss import symbolic_outputs
from tfopt.graph import final_activations


def flat_losses(losses: Any) -> tuple[list[Any], list[str | None]]:
    """The losses one by one, and for each the output that it reads; None for all of them.

    >>> from tfopt.distillation._outputs import flat_losses
    >>> flat_losses({"kind": ["a", "b"], 1: "c"}), flat_losses(["a"])
    ((['a', 'b', 'c'], ['kind', 'kind', '1']), (['a'], [None]))
    """
    if not isinstance(losses, dict):
        return [as_distillation_loss(loss) for loss in losses], [None] * len(losses)
    pairs = [
        (as_distillation_loss(loss), str(output))
        for output, some in losses.items()
        for loss in (some if isinstance(some, (list, tuple)) else [some])
    ]
    return [loss for loss, _ in pairs], [output for _, output in pairs]


def pick(structure: Any, output: str | None, who: str) -> Any:
    """One output of a model, or its target or weight. A single target or weight is used for all outputs.

    Args:
        structure: a dict by name, a list by number, or one tensor or None.
        output: a name, or a number as text; None for the whole structure.
        who: what the structure is, for the error message.

    Raises:
        ValueError: there is no such output.

    >>> from tfopt.distillation._outputs import pick
    >>> pick({"kind": 1, "box": 2}, "box", "student"), pick([1, 2], "1", "student"), pick(5, "box", "student")
    (2, 2, 5)
    """
    if output is None or not isinstance(structure, (dict, list, tuple)):
        return structure
    by_name = structure if isinstance(structure, dict) else dict(enumerate(structure))
    known = {str(name): part for name, part in by_name.items()}
    if output not in known:
        raise ValueError(
            f"The 'losses' argument of Distiller names the output {output!r}, which the {who} does not have. Its "
            f"outputs are {list(known)}. Name them as the models do: the keys of a dict, or numbers from 0 for a list."
        )
    return known[output]


@dataclasses.dataclass(frozen=True)
class OutputOf:
    """One output of a teacher or student, with the attributes that the checks of a loss read."""

    model: Any
    output: str
    role: str

    @property
    def name(self) -> str:
        """The model's name."""
        return getattr(self.model, "name", "")

    @property
    def final_activation(self) -> str | None:
        """The activation that makes the output, as far as it is known."""
        model = self.model[0] if isinstance(self.model, (list, tuple)) else self.model
        if not isinstance(model, keras.Model):
            return None
        return pick(final_activations(model), self.output, self.role)

    def symbolic_outputs(self) -> Any:
        """The output as a Keras tensor, or None if it is not known before the first batch."""
        outputs = symbolic_outputs(self.model)
        return None if outputs is None else pick(outputs, self.output, self.role)
