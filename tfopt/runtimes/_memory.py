"""How many bytes of activations are alive at once while a .tflite file runs."""

from collections.abc import Iterable, Mapping, Sequence


def peak_live_bytes(
    operators: Sequence[tuple[Iterable[int], Iterable[int]]],
    sizes: Mapping[int, int],
    inputs: Iterable[int],
    outputs: Iterable[int],
    always: Iterable[int] = (),
) -> int:
    """The largest sum of bytes alive during any operator, when operators run in the order given.

    A tensor lives from the operator that writes it to the last one that reads it; a graph input from the start,
    a graph output to the end. All inputs and outputs of an operator are alive at the same time: nothing is computed in
    place. This is the size of a perfectly packed arena (Pisarchyk & Lee, 2020, arXiv:2001.03288, call it the maximum
    breadth); it leaves out the scratch memory of single kernels.

    Args:
        operators: what each operator reads and writes, as tensor numbers.
        sizes: bytes of each tensor that is computed. Tensors not named here (constants) count nothing.
        inputs: the tensors that hold the network's input.
        outputs: the tensors that hold its result.
        always: tensors that keep state between calls.

    Example: 100 -> 400 -> 300 -> 10 bytes; the second operator holds 400 + 300.

    >>> chain = [((0,), (1,)), ((1,), (2,)), ((2,), (3,))]
    >>> peak_live_bytes(chain, {0: 100, 1: 400, 2: 300, 3: 10}, inputs=[0], outputs=[3])
    700
    """
    born = dict.fromkeys(inputs, 0)
    dies = dict.fromkeys(inputs, 0)
    for step, (reads, writes) in enumerate(operators):
        for tensor in reads:
            dies[tensor] = step
        for tensor in writes:
            born.setdefault(tensor, step)
            dies[tensor] = max(step, dies.get(tensor, step))
    last = max(len(operators) - 1, 0)
    for tensor in outputs:
        dies[tensor] = last
    for tensor in always:
        born[tensor], dies[tensor] = 0, last

    # Differences need one pass over the tensors and one over the steps, instead of their product.
    change = [0] * (last + 2)
    for tensor, step in born.items():
        change[step] += sizes.get(tensor, 0)
        change[dies[tensor] + 1] -= sizes.get(tensor, 0)
    alive = peak = 0
    for difference in change:
        alive += difference
        peak = max(peak, alive)
    return peak
