"""Fixed seeds and names: of every test, and of every example in a docstring."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pytest


@pytest.fixture(autouse=True, scope="session")
def session_seed() -> None:
    """What fixtures of the whole session make is the same in every run."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def module_seed() -> None:
    """What a module's fixtures make does not depend on the tests that ran before it."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def seed(request: pytest.FixtureRequest) -> None:
    """Every test starts from the same random state, and an example counts the names of layers from the start."""
    if isinstance(request.node, pytest.DoctestItem):
        keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
