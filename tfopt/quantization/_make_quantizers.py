"""The quantizer of each grid that placement found, and the names by which a model keeps its kernels."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import keras

from tfopt._float32 import HALF_FLOATS
from tfopt.graph import Graph, tensors_in
from tfopt.kernels import restrict_range
from tfopt.quantization._config import QuantConfig
from tfopt.quantization.placement import Placement, SharedGrid, is_non_negative
from tfopt.quantization.simulation import FakeQuantize, KernelNames


def make_quantizers(
    graph: Graph, placement: Placement, config: QuantConfig, whole: Mapping[str, tuple[float, float]]
) -> list[FakeQuantize]:
    """The layer that quantizes the activations of each grid, named after the operation that writes there.

    Args:
        graph: the graph in which the grids were placed.
        placement: the grids.
        config: the scheme.
        whole: the range of each input that held bytes, by name.
    """
    _check_inputs(graph, placement, config)
    names = _unique([f"{grid.name}_quantize" for grid in placement.grids])
    usual = config.activation_bits == 8 and not config.symmetric  # whose zero point may be anywhere
    given = {**(whole if usual else {}), **config.input_ranges}
    return [
        _quantizer(grid, graph, config, name, given)
        for grid, name in zip(placement.grids, names, strict=True)
    ]


def _unique(names: list[str]) -> list[str]:
    """Numbers repeated names: a shared layer has a grid for each call."""
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        unique.append(f"{name}_{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return unique


def _quantizer(
    grid: SharedGrid, graph: Graph, config: QuantConfig, name: str, ranges: Mapping[str, tuple[float, float]]
) -> FakeQuantize:
    is_final = all(id(site) in graph.output_ids and not graph.consumers[id(site)] for site in grid.sites)
    (site, *others) = grid.sites
    given = ranges.get(site.name) if not others and _is_input(graph, site) else None
    fixed = given or grid.fixed
    if fixed is not None and grid.num_bits == 16:
        low, high = restrict_range(*fixed, 16, symmetric=True)
        fixed = float(low), float(high)
    # What has more bits than the model has no need to learn where to clip.
    observer = config.ranges.observer if grid.num_bits == config.activation_bits else "moving_average"
    return FakeQuantize(
        num_sites=len(grid.sites),
        fixed_range=fixed,
        momentum=config.ranges.momentum,
        num_bits=grid.num_bits,
        observer=observer,
        clip_l2=config.ranges.clip_l2 if observer == "pact" else 0.0,
        symmetric=config.symmetric or grid.num_bits == 16,
        power_of_two=config.power_of_two,
        non_negative=all(is_non_negative(graph, site) for site in grid.sites),
        float_training=grid.fixed is not None and is_final,
        name=name,
        dtype="float32" if is_final or grid.num_bits == 16 else _type_between_layers(grid, graph),
    )


def _type_between_layers(grid: SharedGrid, graph: Graph) -> str:
    """The policy of what writes the sites, where all of it is of mixed precision."""
    writers = [graph.producers.get(id(site)) for site in grid.sites]
    policies = [None if one is None else getattr(one.op, "dtype_policy", None) for one in writers]
    (name, *others) = {"float32" if policy is None else policy.name for policy in policies}
    is_mixed = not others and keras.DTypePolicy(name).compute_dtype in HALF_FLOATS
    return name if is_mixed else "float32"


def _is_input(graph: Graph, site: keras.KerasTensor) -> bool:
    return any(site is tensor for tensor in tensors_in(graph.inputs))


def _check_inputs(graph: Graph, placement: Placement, config: QuantConfig) -> None:
    """Raises ValueError for a range of an input that is not there, or whose grid other tensors share."""
    inputs = {tensor.name: tensor for tensor in tensors_in(graph.inputs)}
    for name in config.input_ranges:
        if name not in inputs:
            raise ValueError(
                f"The 'input_ranges' argument of QuantConfig must name inputs of {graph.name!r}. Got {name!r}, and its "
                f"inputs are {', '.join(map(repr, inputs))}."
            )
        grid = next((one for one in placement.grids if any(site is inputs[name] for site in one.sites)), None)
        if grid is None or len(grid.sites) > 1:
            raise ValueError(
                f"The 'input_ranges' argument of QuantConfig must name inputs that have a grid of their own. Got "
                f"{name!r}, which holds integers, or is concatenated with other tensors and shares their grid. Leave "
                "it out."
            )


def kernel_names(
    placement: Placement, layers: Sequence[FakeQuantize], made: dict[int, keras.Operation]
) -> Iterator[KernelNames]:
    """The kernel that writes each site, by the names of the new model's layers.

    Args:
        placement: the grids and kernels.
        layers: the quantizer of each grid.
        made: the new layer, by `id` of the operation that it replaces.
    """
    quantizer = {id(grid): layer for grid, layer in zip(placement.grids, layers, strict=True)}
    for grid, layer in zip(placement.grids, layers, strict=True):
        for index, site in enumerate(grid.sites):
            plan = placement.kernels.get(id(site))
            if plan is not None:
                yield KernelNames(
                    quantizer=layer.name,
                    site=index,
                    kernel=plan.kind,
                    sources=tuple(quantizer[id(source)].name for source in plan.sources),
                    weights="" if plan.weights is None else made[id(plan.weights)].name,
                    norm="" if plan.norm is None else made[id(plan.norm)].name,
                    activation=plan.activation,
                    equation=plan.equation,
                )
