"""A mistake ends in a sentence of tfopt's own, and not in a library's words about its insides."""

import traceback
from pathlib import Path

import pytest

import tfopt
from tests.bad_calls.late import LATE
from tests.bad_calls.of_files import FILES
from tests.bad_calls.of_quantize import QUANTIZE
from tests.bad_calls.of_training import TRAINING
from tests.bad_calls.things import Call, Things

EARLY = {**QUANTIZE, **FILES, **TRAINING}
OURS = str(Path(tfopt.__file__).parent)


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Things:
    return Things.make(tmp_path_factory.mktemp("things"))


def check(call: Call, word: str, things: Things) -> None:
    with pytest.raises((ValueError, TypeError, ImportError)) as caught:
        call(things)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].filename.startswith(OURS), caught.value
    assert word in str(caught.value)


@pytest.mark.parametrize("name", EARLY)
def test_a_mistake_is_one_sentence(name: str, things: Things) -> None:
    check(*EARLY[name], things)


@pytest.mark.slow
@pytest.mark.parametrize("name", LATE)
def test_a_mistake_that_is_found_late_is_one_sentence(name: str, things: Things) -> None:
    check(*LATE[name], things)
