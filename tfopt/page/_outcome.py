"""What came out: the figures in large print, what each technique did, and what was decided on the way."""

from typing import Any

from tfopt._text import format_bytes, percent
from tfopt.page._blocks import Block, DataTable, Fact, Facts, Text
from tfopt.page._content import Content
from tfopt.page._figures import is_part, latency_text, memory, metric_text, times


def outcome(content: Content) -> list[Block]:
    """The section's blocks."""
    blocks: list[Block] = []
    if facts := (*_of_result(content), *_of_proof(content)):
        blocks.append(Facts(facts))
    if done := content.outcome.get("done"):
        caption = "What each technique of the recipe did."
        rows = tuple((name, what) for name, what in done.items())
        blocks.append(DataTable(caption, ("technique", "outcome"), rows, frozenset({0, 1})))
    if notes := content.outcome.get("notes"):
        blocks.append(Text(tuple(notes)))
    return blocks


def _of_result(content: Content) -> tuple[Fact, ...]:
    """Figures of the result beside the original's."""
    rows, base = content.rows(), content.baseline()
    if not rows:
        return ()
    last, metric = rows[-1], content.report("compare")["metric"]
    facts = []
    if last["metric"] is not None:
        facts.append(
            _metric(rows[0], last, metric) if base else Fact(metric, metric_text(last["metric"], metric))
        )
    facts.append(_beside("size", last["raw_bytes"], format_bytes, base, "raw_bytes", ("smaller", "larger")))
    same = base if base and base["runtime"] == last["runtime"] else None
    facts.append(
        _beside("latency", last["latency_ms"], latency_text, same, "latency_ms", ("faster", "slower"))
    )
    if (needed := memory(last)) is not None:
        before = memory(same) if same else None
        detail = f"{times(before, needed, 'less', 'more')} than {same['name']}" if same and before else ""
        facts.append(Fact("memory", format_bytes(needed), detail))
    facts.append(Fact("zeros", percent(last["sparsity"]), "of the weights"))
    return tuple(facts)


def _metric(first: dict[str, Any], last: dict[str, Any], metric: str) -> Fact:
    change = last["metric"] - first["metric"]
    amount = f"{100 * change:+.2f} points" if is_part(metric) else f"{change:+.4g}"
    return Fact(metric, metric_text(last["metric"], metric), f"{amount} against {first['name']}")


def _beside(
    name: str, value: Any, text: Any, base: dict[str, Any] | None, key: str, words: tuple[str, str]
) -> Fact:
    """A figure, and how many times less it is than the baseline's."""
    detail = ""
    if base and value is not None and base[key] is not None:
        detail = f"{times(base[key], value, *words)} than {base['name']}"
        detail = detail.replace("the same than", "the same as")
    return Fact(name, "-" if value is None else text(value), detail)


def _of_proof(content: Content) -> tuple[Fact, ...]:
    """Whether the file computes what the model computes."""
    proof = content.report("verify")
    if proof is None:
        return ()
    equal = min((output["equal"] for output in proof["outputs"]), default=0.0)
    tone = "good" if proof["passed"] else "bad"
    several = ", on the runtime with the fewest" if len(proof["runtimes"]) > 1 else ""
    detail = f"of output values of {proof['samples']:,} samples{several}"
    return (Fact("bit-equal to the model", percent(equal), detail, tone),)
