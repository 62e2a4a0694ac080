"""The support matrix says what `check` says of a model with that layer."""

import sys

import pytest

import tfopt
from tests.conversion.cases import CASES
from tests.conversion.rows import build
from tests.docs.pages import ROOT

sys.path.insert(0, str(ROOT / "docs" / "_hooks"))

from support_matrix import outcome

QUICK = ("Conv2D", "LSTM", "gelu", "elu", "Exp")
ROWS = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in CASES]


@pytest.mark.parametrize("name", ROWS)
def test_it_says_what_check_says(name: str) -> None:
    for target in ("litert", "tflm"):
        done = [row.done for row in tfopt.check(build(name), target).layers]
        said = outcome(name, target, 8)
        assert ("float" in done) == (said == "float" or "but" in said), (target, said, done)
        assert ("refused" in done) == (said == "refused")


def test_what_cannot_be_loaded_is_refused() -> None:
    assert outcome("Prod", "tflm", 8) == "refused"
    assert tfopt.check(build("Prod"), "tflm").layers[0].done == "refused"
    assert outcome("Prod", "litert", 8) == "float"
