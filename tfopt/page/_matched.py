"""Which operator of the file is which layer, as the proof has matched their values: names do not tell."""

from typing import Any

from tfopt.page._content import Content


def operators_of_layers(content: Content) -> dict[str, list[dict[str, Any]]]:
    """The operators that write the tensors of a layer, by its name; one that is called more than once has several."""
    file, proof = content.report("inspect"), content.report("verify")
    if file is None or proof is None:
        return {}
    by_output = {name: row for row in file["operators"] for name in row["writes"]}
    found: dict[str, list[dict[str, Any]]] = {}
    for tensor in proof["tensors"]:
        operator = by_output.get(tensor["tensor"])
        if operator is not None and tensor["runtime"] == proof["tensors"][0]["runtime"]:
            found.setdefault(tensor["layer"], []).append(operator)
    return found


def layers_of_kernels(content: Content) -> dict[str, str]:
    """The layer that a kernel belongs to, by the kernel's name in the file; none where the operator has several."""
    return {
        operator["kernels"][0]: layer
        for layer, operators in operators_of_layers(content).items()
        for operator in operators
        if len(operator["kernels"]) == 1
    }
