"""What a page is made of: plain data, as `--json` prints it."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Content:
    """The data of a page.

    Attributes:
        reports: by the name of what made them, `Report.to_dict()` of each.
        outcome: other fields of a `CompressResult`, such as `verdict`, `done` and `history`; empty for a page about
            one report.
        recipe: the recipe as text; empty where there is none.
        title: heading of the page.
    """

    reports: Mapping[str, Any]
    outcome: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    recipe: str = ""
    title: str = "Report"

    @classmethod
    def of_result(cls, result: Mapping[str, Any], recipe: str) -> "Content":
        """The data in a `report.json` that `compress` wrote, and its recipe.

        >>> result = {"title": "net for LiteRT", "passed": True, "reports": {"export": {"path": "a"}}}
        >>> content = Content.of_result(result, "target: litert")
        >>> content.title, content.outcome, content.report("export"), content.report("prune")
        ('net for LiteRT', {'passed': True}, {'path': 'a'}, None)
        """
        outcome = {name: value for name, value in result.items() if name != "reports"}
        return cls(result["reports"], outcome, recipe, outcome.pop("title"))

    def report(self, name: str) -> Any:
        """A report; None if there is none of that name."""
        return self.reports.get(name)

    def rows(self) -> list[dict[str, Any]]:
        """The models that were compared, the original first and the result last."""
        return list((self.report("compare") or {}).get("rows", ()))

    def baseline(self) -> dict[str, Any] | None:
        """What the result is measured against: the first of the rows on its runtime, else the first of all.

        The call of a Keras model is mostly Python, so that its latency says nothing about the model.
        """
        rows = self.rows()
        if len(rows) < 2:
            return None
        return next((row for row in rows[:-1] if row["runtime"] == rows[-1]["runtime"]), rows[0])
