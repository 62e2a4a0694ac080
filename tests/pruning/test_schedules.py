"""Schedules: values, errors and serialization. A new schedule adds a row to SCHEDULES, and its errors to ERRORS."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfopt.pruning import (
    SET,
    SRSTE,
    ConstantSparsity,
    CosineDecay,
    ExponentialDecay,
    Iterative,
    OneShot,
    PolynomialDecay,
    RigL,
    SparsitySchedule,
)

SCHEDULES = [
    ConstantSparsity(0.5),
    ConstantSparsity(0.9, begin_step=7),
    PolynomialDecay(0.8, 1000),
    PolynomialDecay(0.8, 1003, initial_sparsity=0.25, begin_step=11, power=1.5, frequency=10),
    CosineDecay(0.8, 1000),
    CosineDecay(0.99, 1003, initial_sparsity=0.5, begin_step=11, frequency=7),
    ExponentialDecay(0.8, 1000),
    ExponentialDecay(0.99, 1003, initial_sparsity=0.5, begin_step=11, frequency=7),
    OneShot(0.9),
    OneShot(0.9, step=70, rewind_step=20),
    Iterative(0.9, begin_step=100, end_step=1000),
    Iterative(0.99, begin_step=0, end_step=1003, rounds=7, rewind_step=0),
]
REGROWTHS = [RigL(1000), SET(500, drop_fraction=0.5, frequency=7)]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_is_zero_before_and_constant_after_and_never_falls(schedule: SparsitySchedule) -> None:
    values = [schedule(step) for step in range(1200)]
    assert all(type(value) is float and 0 <= value < 1 for value in values)
    assert values[: schedule.begin_step] == [0.0] * schedule.begin_step
    assert set(values[schedule.end_step :]) == {schedule(10**9)}
    assert values == sorted(values)


@pytest.mark.parametrize("schedule", SCHEDULES + REGROWTHS, ids=repr)
def test_round_trips_and_is_frozen(schedule: SparsitySchedule) -> None:
    config = keras.saving.serialize_keras_object(schedule)
    assert config["registered_name"].startswith("tfopt>")
    assert set(config["config"]) == {field.name for field in dataclasses.fields(schedule)}  # type: ignore[arg-type]
    assert keras.saving.deserialize_keras_object(config) == schedule
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.end_step = 3


@given(
    final=st.floats(0.1, 0.99),
    initial=st.floats(0, 0.1),
    begin=st.integers(0, 500),
    length=st.integers(1, 3000),
    frequency=st.integers(1, 400),
    power=st.integers(1, 4),
)
def test_polynomial_is_the_formula_on_a_staircase(
    final: float, initial: float, begin: int, length: int, frequency: int, power: int
) -> None:
    schedule = PolynomialDecay(final, begin + length, initial, begin, power, frequency)
    steps = np.arange(begin, begin + length + 2)
    due = begin + (steps - begin) // frequency * frequency
    progress = np.where(steps >= begin + length, 1, (due - begin) / length)
    expected = final + (initial - final) * (1 - progress) ** power
    np.testing.assert_allclose([schedule(int(step)) for step in steps], expected, rtol=1e-12)
    assert schedule(begin + length) == final


@given(rounds=st.integers(2, 20), begin=st.integers(0, 50), length=st.integers(20, 400))
def test_iterative_has_equal_rounds_that_each_remove_the_same_part(
    rounds: int, begin: int, length: int
) -> None:
    schedule = Iterative(0.9, begin, begin + length, rounds)
    values = [schedule(step) for step in range(begin, begin + length + 1)]
    starts = [index for index in range(1, len(values)) if values[index] != values[index - 1]]
    assert len(starts) == rounds - 1 and starts[-1] == length
    assert all(abs(start - (n + 1) * length / (rounds - 1)) <= 1 for n, start in enumerate(starts))
    left = [1 - value for value in (0.0, values[0], *(values[start] for start in starts))]
    np.testing.assert_allclose(np.divide(left[1:], left[:-1]), 0.1 ** (1 / rounds), rtol=1e-9)


@pytest.mark.parametrize("regrowth", REGROWTHS, ids=repr)
def test_regrowth_falls_on_a_cosine_and_stops(regrowth: RigL) -> None:
    end = regrowth.end_step
    parts = [regrowth(step) for step in range(1, end)]
    assert parts == sorted(parts, reverse=True) and parts[0] <= regrowth.drop_fraction
    np.testing.assert_allclose(regrowth(end // 2), regrowth.drop_fraction / 2)
    assert regrowth(end) == regrowth(10 * end) == 0.0
    turns = [regrowth.turn(step) for step in range(end + 300)]
    assert sum(a != b for a, b in itertools.pairwise(turns)) == (end - 1) // regrowth.frequency


def test_numpy_numbers_become_python_numbers() -> None:
    schedule = PolynomialDecay(np.float32(0.5), np.int64(10), frequency=np.int32(5))
    assert [type(value) for value in schedule.get_config().values()] == [float, int, float, int, int, int]


ERRORS = [
    (
        lambda: PolynomialDecay(1.2, 10),
        ValueError,
        "The 'final_sparsity' argument of PolynomialDecay must be a float in [0, 1). Got 1.2 instead. "
        "For 80 % zeros pass 0.8.",
    ),
    (lambda: PolynomialDecay(-0.1, 10), ValueError, "'final_sparsity'.*Got -0.1 instead"),
    (lambda: PolynomialDecay(float("nan"), 10), ValueError, "'final_sparsity'.*Got nan instead"),
    (
        lambda: PolynomialDecay("0.8", 10),
        TypeError,
        "'final_sparsity'.*Got '0.8' instead. For 80 % zeros pass 0.8.",
    ),
    (
        lambda: PolynomialDecay(0.8, 10, initial_sparsity=1.0),
        ValueError,
        "'initial_sparsity'.*Got 1.0 instead",
    ),
    (
        lambda: PolynomialDecay(0.5, 10, initial_sparsity=0.6),
        ValueError,
        "'initial_sparsity'.*at most final_sparsity=0.5. Got 0.6 instead. Leave it out to begin at 0.",
    ),
    (
        lambda: PolynomialDecay(0.8, end_step=100, begin_step=200),
        ValueError,
        "'end_step'.*above begin_step=200. Got 100 instead. To prune in a single step use ConstantSparsity.",
    ),
    (
        lambda: PolynomialDecay(0.8, end_step=5, begin_step=5),
        ValueError,
        "'end_step'.*above begin_step=5. Got 5",
    ),
    (
        lambda: PolynomialDecay(0.8, end_step=0),
        ValueError,
        "'end_step'.*an integer of at least 1. Got 0 instead",
    ),
    (
        lambda: PolynomialDecay(0.8, end_step=10.5),
        TypeError,
        "'end_step'.*integer.*Got 10.5.*counts optimizer steps",
    ),
    (lambda: PolynomialDecay(0.8, 10, begin_step=-1), ValueError, "'begin_step'.*at least 0. Got -1 instead"),
    (lambda: PolynomialDecay(0.8, 10, frequency=0), ValueError, "'frequency'.*at least 1. Got 0 instead"),
    (lambda: PolynomialDecay(0.8, 10, frequency=True), TypeError, "'frequency'.*Got True instead"),
    (lambda: PolynomialDecay(0.8, 10, power=0), ValueError, "'power'.*a number above 0. Got 0 instead"),
    (
        lambda: PolynomialDecay(0.8, 10, power=None),
        TypeError,
        "'power'.*Got None instead. The usual cubic is 3.",
    ),
    (
        lambda: ConstantSparsity(1),
        ValueError,
        "'sparsity' argument of ConstantSparsity must be .*Got 1 instead",
    ),
    (lambda: CosineDecay(1.0, 10), ValueError, "'final_sparsity' argument of CosineDecay must be.*Got 1.0"),
    (
        lambda: ExponentialDecay(0.5, 5, begin_step=9),
        ValueError,
        "'end_step'.*above begin_step=9. Got 5 instead",
    ),
    (lambda: OneShot(1.5), ValueError, "'sparsity' argument of OneShot must be.*Got 1.5 instead"),
    (
        lambda: OneShot(0.5, step=5, rewind_step=6),
        ValueError,
        "'rewind_step'.*at most step=5. Got 6 instead. 0 rewinds to the beginning.",
    ),
    (lambda: Iterative(0.5, 5, 9, rounds=1), ValueError, "'rounds'.*at least 2. Got 1 instead.*use OneShot"),
    (lambda: Iterative(0.5, 9, 9), ValueError, "'end_step'.*above begin_step=9. Got 9 instead.*use OneShot"),
    (lambda: Iterative(0.5, 5, 9, rewind_step=6), ValueError, "'rewind_step'.*at most begin_step=5. Got 6 "),
    (
        lambda: RigL(100, drop_fraction=1.0),
        ValueError,
        "'drop_fraction' argument of RigL.*in \\(0, 1\\). Got 1.0 instead. The usual one is 0.3.",
    ),
    (
        lambda: SET(0),
        ValueError,
        "'end_step' argument of SET must be an integer of at least 1. Got 0 instead",
    ),
    (lambda: SRSTE(9, decay=1), ValueError, "'decay' argument of SRSTE.*in \\[0, 1\\). Got 1 instead"),
    (lambda: ConstantSparsity(0.5, begin_step=-3), ValueError, "'begin_step'.*Got -3 instead"),
]


@pytest.mark.parametrize(("make", "error", "message"), ERRORS, ids=[row[2][:60] for row in ERRORS])
def test_bad_arguments_get_one_clear_sentence(make, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=message.replace("[0, 1)", r"\[0, 1\)")):
        make()
