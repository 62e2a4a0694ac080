import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfopt.runtimes._memory import peak_live_bytes

CHAIN = [((0,), (1,)), ((1,), (2,)), ((2,), (3,))]
SIZES = {0: 100, 1: 400, 2: 300, 3: 10}


@pytest.mark.parametrize(
    ("operators", "inputs", "outputs", "always", "peak"),
    [
        (CHAIN, [0], [3], [], 700),
        # the first tensor is added to the third at the end: 100 + 400 + 300
        ([*CHAIN[:2], ((0, 2), (3,))], [0], [3], [], 800),
        # an output that is done early stays: 400 + 300 + 10
        (CHAIN, [0], [1, 3], [], 710),
        # a tensor that keeps its value between calls: 100 + 400 + 300
        ([((0, 2), (1,)), ((1,), (3,))], [0], [3], [2], 800),
        # a result that nothing reads is alive while it is written
        ([((0,), (1, 2))], [0], [2], [], 800),
        ([], [0], [0], [], 100),
    ],
    ids=["chain", "residual", "early output", "variable", "unread", "no operators"],
)
def test_peak_by_hand(operators: list, inputs: list, outputs: list, always: list, peak: int) -> None:
    assert peak_live_bytes(operators, SIZES, inputs, outputs, always) == peak


def test_constants_take_no_memory() -> None:
    assert peak_live_bytes([((0, 9), (1,))], {0: 1, 1: 2}, [0], [1]) == 3


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 50)), min_size=1, max_size=8))
def test_peak_is_what_counting_step_by_step_gives(network: list[tuple[int, int]]) -> None:
    """Operator i reads the tensor before it and one older tensor, and writes tensor i + 1."""
    operators = [((i, max(i - back, 0)), (i + 1,)) for i, (back, _) in enumerate(network)]
    sizes = {0: 7, **{i + 1: size for i, (_, size) in enumerate(network)}}
    last = len(network)
    counted = []
    for step in range(len(operators)):
        used_later = {t for reads, _ in operators[step:] for t in reads} | {last}
        exists = {0} | {t for _, writes in operators[: step + 1] for t in writes}
        alive = (used_later & exists) | set(operators[step][1])
        counted.append(sum(sizes[t] for t in alive))
    assert peak_live_bytes(operators, sizes, [0], [last]) == max(counted)
