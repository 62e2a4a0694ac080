"""The arithmetic code: every stream comes back, near its entropy, and damage is found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tfopt.coding import decode_blocks, encode_blocks, entropy_bytes, histogram, shares

streams = st.lists(
    arrays.arrays("uint8", st.integers(1, 200), elements=st.integers(0, 255), fill=st.just(0)),
    min_size=1,
    max_size=5,
)


def coded(values, block):
    tables = np.stack([shares(histogram(stream)) for stream in values])
    return encode_blocks(values, tables, block), [len(stream) for stream in values], tables


@settings(deadline=None)
@given(values=streams, block=st.sampled_from([1, 7, 64, 8192]))
def test_streams_are_given_back(values, block):
    blocks, lengths, tables = coded(values, block)
    assert [len(of_one) for of_one in blocks] == [-(-length // block) for length in lengths]
    flat = [words for of_one in blocks for words in of_one]
    for got, expected in zip(decode_blocks(flat, lengths, tables, block), values, strict=True):
        np.testing.assert_array_equal(got, expected)


@given(counts=arrays.arrays("int64", 256, elements=st.integers(0, 10**9)))
def test_shares_add_up_and_leave_none_out(counts):
    counts[7] = max(1, counts[7])
    found = shares(counts)
    assert found.sum() == 4096 and ((found > 0) == (counts > 0)).all()


@pytest.mark.parametrize("spread", [0.3, 3, 30])
def test_a_long_stream_is_within_a_percent_of_its_entropy_and_its_states(spread):
    values = (
        np.clip(np.random.default_rng(0).normal(size=300_000) * spread, -127, 127)
        .astype("int8")
        .view("uint8")
    )
    blocks, lengths, tables = coded([values], 8192)
    size = sum(words.nbytes for words in blocks[0])
    assert entropy_bytes(values) < size < 1.01 * entropy_bytes(values) + 4 * len(blocks[0])
    np.testing.assert_array_equal(decode_blocks(blocks[0], lengths, tables, 8192)[0], values)


def test_more_streams_than_are_coded_side_by_side():
    rng = np.random.default_rng(0)
    values = [rng.integers(0, 3, 1 + 5 * number).astype("uint8") for number in range(130)]
    blocks, lengths, tables = coded(values, 100)
    flat = [words for of_one in blocks for words in of_one]
    found = decode_blocks(flat, lengths, tables, 100)
    assert all((got == expected).all() for got, expected in zip(found, values, strict=True))


@pytest.mark.parametrize("damage", ["a word", "a word too few", "no state"])
def test_damage_is_found(damage):
    values = np.random.default_rng(0).integers(0, 9, 500).astype("uint8")
    (blocks,), lengths, tables = coded([values], 8192)
    words = {"a word": blocks[0] ^ 4, "a word too few": blocks[0][:-1], "no state": blocks[0][:1]}[damage]
    with pytest.raises(ValueError, match="block"):
        decode_blocks([words], lengths, tables, 8192)
