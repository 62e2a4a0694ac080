"""What accuracy control can give back: a row for each layer and remedy, with what it changes."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tfopt.analysis._network import Network, Spot
from tfopt.analysis._techniques import TECHNIQUES, Changed, rounded_weights
from tfopt.graph import selects, tensors_in
from tfopt.kernels import TARGETS, IntegerActivations
from tfopt.quantization import QuantConfig, QuantizedModel

_FLOAT = {"weight_bits": None}


@dataclasses.dataclass(frozen=True, eq=False)
class Remedy:
    """One thing that can be given back.

    Attributes:
        name: what it is, in words.
        layers: the paths of the layers that get other settings.
        settings: these, as an override of `QuantConfig`.
        costs: what a layer is without it.
        leaves: what it is with it; None for as in float.
    """

    name: str
    layers: tuple[str, ...]
    settings: Mapping[str, Any]
    costs: Changed
    leaves: Changed | None = None


def find_remedies(
    model: QuantizedModel, network: Network, config: QuantConfig
) -> tuple[list[Remedy], list[Changed]]:
    """What can be given back in a quantized model, and what cannot: grids of inputs, and those that stand alone.

    Args:
        model: the model.
        network: the float network behind it.
        config: the scheme that it was quantized to.
    """
    found: list[Remedy] = []
    fixed: list[Changed] = []
    widens = config.activation_bits == 8 and 16 in TARGETS[config.target].activation_bits
    for spot in network.spots:
        found.extend(_of_weights(spot, config))
        rounded, wide = (
            TECHNIQUES[f"{bits}-bit activations"].apply(spot) for bits in (config.activation_bits, 16)
        )
        if isinstance(rounded, str) or isinstance(wide, str):
            continue
        layers = _writer_and_readers(model, network, spot)
        if widens and len(layers) > 1:
            found.append(Remedy("16-bit activations", layers, {"activation_bits": 16}, rounded, wide))
        else:
            fixed.append(rounded)
    return found, fixed


def _of_weights(spot: Spot, config: QuantConfig) -> list[Remedy]:
    """The weights in 8 bits where they have fewer, and then in float."""
    own, eight = rounded_weights(None, spot), rounded_weights(8, spot)
    if isinstance(own, str) or isinstance(eight, str):
        return []
    few = spot.quantized.weight_bits < 8
    settings = {"weight_bits": 8, "ternary": False}
    rows = [Remedy("8-bit weights", (spot.path,), settings, own, eight)] if few else []
    if not config.strict:
        rows.append(Remedy("float weights", (spot.path,), _FLOAT, eight if few else own))
    return rows


def _writer_and_readers(model: QuantizedModel, network: Network, spot: Spot) -> tuple[str, ...]:
    """The paths of the layers whose kernels write and read a grid; none for an input's, which is the file's own."""
    rows = model.placed.layers if model.placed is not None else ()
    paths = {row.path.split("/")[-1]: row for row in rows} | {row.path.replace("/", "_"): row for row in rows}
    paths |= {row.weights: row for row in rows if row.weights}
    if spot.kind == "Input":
        return ()
    found = {spot.path: None}
    pending = [node for node in network.graph.nodes if node.op is spot.quantizer]
    seen = set(map(id, pending))
    while pending:
        for tensor in tensors_in(pending.pop().outputs):
            for reader in network.graph.consumers[id(tensor)]:
                if id(reader) in seen:
                    continue
                seen.add(id(reader))
                row = paths.get(reader.op.name)
                if row is None or row.done == "same grid" or isinstance(reader.op, IntegerActivations):
                    pending.append(reader)  # what only moves codes is widened with its neighbours
                else:
                    found[row.path] = None
    return tuple(found)


def overrides_of(chosen: Sequence[Remedy], config: QuantConfig, spots: Sequence[Spot]) -> dict[Any, Any]:
    """The overrides of a scheme with those of remedies before them.

    Args:
        chosen: the remedies; of one layer the later goes on from the earlier.
        config: the scheme.
        spots: all layers.
    """
    new: dict[str, dict[str, Any]] = {}
    layers = {spot.path: spot.node.op if spot.node is not None else None for spot in spots}
    firsts = {path: _first(config, layer, path) for path, layer in layers.items()}
    for remedy in chosen:
        for path in remedy.layers:
            key = firsts.get(path)
            own = {} if key is None else config.overrides[key]
            new[path] = {**new.get(path, _FLOAT if own is None else own), **remedy.settings}
    # A key that fits no other layer any more would be an error.
    kept = {key: config.overrides[key] for path, key in firsts.items() if key is not None and path not in new}
    ordered = {key: value for key, value in config.overrides.items() if key in kept}
    return {**{f"^{re.escape(path)}$": value for path, value in new.items()}, **ordered}


def _first(config: QuantConfig, layer: Any, path: str) -> Any:
    """The first override that fits a layer; None if none does."""
    keys = (key for key in config.overrides if isinstance(key, str) or layer is not None)
    return next((key for key in keys if selects(key, layer, path)), None)
