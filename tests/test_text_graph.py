"""Graphs of text: what reads what can be read from the drawing alone."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tfopt._text_graph import Step, text_graph


@st.composite
def graphs(draw):
    """Steps that read any of the tensors before, and make one or two."""
    names: list[str] = []
    steps = []
    for at in range(draw(st.integers(1, 12))):
        reads = draw(st.lists(st.sampled_from(names), max_size=3)) if names else []
        made = [f"{at}.{number}" for number in range(draw(st.integers(1, 2)))]
        steps.append(Step(f"op{at}", tuple(reads), tuple(made)))
        names += made
    return steps


def read_back(text, steps):
    """The tensors that each step reads, from its line and the rails that the lines before it have laid."""
    rails: dict[int, str] = {}
    found = []
    lines = text.splitlines()
    for line, step in zip(lines, steps, strict=True):
        drawn = line[: line.rindex(f"op{line.rpartition('op')[2]}")]
        at = drawn.index("●")
        reads = {rails.get(place) for place, sign in enumerate(drawn) if sign in "├┤┼╰╯┴"}
        ended = {place for place, sign in enumerate(drawn) if sign in "╰╯┴"}
        if at in rails:
            reads.add(rails[at])
            ended.add(at)
        assert None not in reads
        found.append(reads)
        for place in ended:
            del rails[place]
        assert set(rails) == {place for place, sign in enumerate(drawn) if sign in "├┤┼│"}
        later = {name for other in steps[len(found) :] for name in other.reads}
        kept = [name for name in step.writes if name in later]
        free = iter(place for place in range(0, 200, 2) if place not in rails and place != at)
        rails.update({at if number == 0 else next(free): name for number, name in enumerate(kept)})
    return found


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_edges_can_be_read_from_the_drawing(steps):
    text = text_graph(steps, [], width=500)
    if "…" not in text:
        assert read_back(text, steps) == [set(step.reads) for step in steps]


def test_it_fits_and_holds_no_control_characters():
    steps = [
        Step("x", (), ("x",)),
        *(Step(f"op\x1b[2J\n{'n' * 200}", ("x",), (f"y{at}",)) for at in range(40)),
    ]
    reads = tuple(f"y{at}" for at in range(40))
    lines = text_graph([*steps, Step("all", reads, ("z",))], ["z"]).splitlines()
    assert len(lines) == 42 and all(len(line) <= 80 and line.isprintable() for line in lines)
    assert lines[-1].endswith("all →")
