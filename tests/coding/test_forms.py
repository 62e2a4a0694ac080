"""Every form gives the kernel back: by our decoder, and by one written down from TFLite Micro's source."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.coding import tflm_decoders
from tfopt.coding import Codes, decode_form, entropy_bytes, smallest_form
from tfopt.coding._bits import read_fixed, write_bits, write_fixed
from tfopt.coding._forms import FORMS
from tfopt.coding._huffman import MAX_LENGTH, code_lengths
from tfopt.coding._huffman_tables import decoding_table


@st.composite
def kernels(draw):
    """A kernel with few or many values and zeros, on any grid."""
    dtype = draw(st.sampled_from(["int8", "int8", "int16", "float32"]))
    shape = draw(arrays.array_shapes(min_dims=1, max_dims=4, max_side=9))
    spread = draw(st.sampled_from([0, 1, 3, 20, 127]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    values = rng.integers(-spread, spread + 1, shape) * (
        rng.random(shape) < draw(st.sampled_from([0.1, 0.5, 1.0]))
    )
    axis = draw(st.none() | st.integers(0, len(shape) - 1))
    zero_point = draw(st.sampled_from([0, 0, None, -7])) if dtype == "int8" else 0
    return Codes(values.astype(dtype), axis, zero_point)


@settings(max_examples=150, deadline=None)
@given(codes=kernels())
def test_a_kernel_is_given_back(codes):
    empty = Codes(np.empty_like(codes.values), codes.axis, codes.zero_point)
    for form in FORMS:
        encoded = form(codes)
        if encoded is None:
            continue
        ours = decode_form(encoded.stream, encoded.ancillary, empty)
        assert ours.tobytes() == codes.values.tobytes(), encoded.form
        for by_grid in (False, True):
            theirs = tflm_decoders.decode(encoded.stream, encoded.ancillary, empty, by_grid)
            assert theirs.tobytes() == codes.values.tobytes(), encoded.form


def test_each_form_is_the_smallest_of_some_kernel():
    rng = np.random.default_rng(0)
    pruned = rng.integers(-127, 128, (16, 64)) * (rng.random((16, 64)) < 0.5)
    per_channel = np.stack([rng.choice(rng.integers(-127, 128, 16), 256) for _ in range(32)])
    kernels = {
        "prune": pruned,
        "Huffman": np.clip(rng.normal(size=(64, 64)) * 4, -127, 127),
        "lookup table": rng.choice([-9, -3, 3, 9], (16, 64)),
        "lookup tables": per_channel,
    }
    forms = {form: smallest_form(Codes(kernel.astype("int8"), 0)).form for form, kernel in kernels.items()}
    assert forms == {form: form for form in kernels}


@pytest.mark.parametrize(
    ("codes", "missing"),
    [
        (Codes(np.ones((2, 3, 2), "int8"), axis=1), {"prune", "lookup table", "lookup tables"}),
        (Codes(np.ones((2, 3), "int8"), axis=0, zero_point=None), {"prune"}),
        (Codes(np.ones((2, 3), "float32")), {"Huffman", "lookup tables"}),
        (Codes(np.arange(-128, 128, dtype="int8").reshape(1, -1), axis=0), {"lookup table", "lookup tables"}),
        (Codes(np.ones((2, 3), "int16"), zero_point=5), {"prune", "Huffman", "lookup tables"}),
    ],
)
def test_what_a_decoder_does_not_take_is_not_offered(codes, missing):
    offered = {encoded.form for form in FORMS if (encoded := form(codes)) is not None}
    assert offered == {"prune", "Huffman", "lookup table", "lookup tables"} - missing


@given(counts=st.lists(st.integers(0, 10**6), min_size=2, max_size=256))
def test_huffman_words_are_short_and_complete(counts):
    counts = np.array([1, *counts])
    lengths = code_lengths(counts)
    used = lengths[counts > 0]
    assert (lengths[counts == 0] == 0).all() and used.min() >= 1 and used.max() <= MAX_LENGTH
    shares = counts[counts > 0] / counts.sum()
    if len(used) > 1:
        assert (0.5**used).sum() == 1.0
        # Huffman's bound, where no word had to be cut short: within a bit of the entropy.
        if used.max() < MAX_LENGTH:
            assert (shares * used).sum() < -(shares * np.log2(shares)).sum() + 1
    table, _ = decoding_table(lengths)
    assert len(table) <= max(2, 2 * len(used) - 2)


def test_words_are_cut_at_the_longest_at_least_cost():
    fibonacci = np.array([1, 1, 2, 3, 5, 8, 13, 21, 34])
    free, cut = code_lengths(fibonacci), code_lengths(fibonacci, longest=5)
    assert free.max() == 8 and cut.max() == 5 and (0.5**cut).sum() == 1.0
    # Every code of these lengths, by hand: 1 word of 2 bits fewer costs 11 more bits than Huffman's.
    assert (fibonacci * free).sum() < (fibonacci * cut).sum() <= 1.1 * (fibonacci * free).sum()


@given(
    codes=arrays.arrays("uint8", st.integers(0, 60), elements=st.integers(0, 127)), width=st.integers(7, 8)
)
def test_codes_of_one_width_are_read_back(codes, width):
    stream = write_fixed(codes, width) if len(codes) else np.zeros(0, "uint8")
    np.testing.assert_array_equal(read_fixed(stream, width, len(codes)), codes)
    np.testing.assert_array_equal(write_bits(codes, np.full(len(codes), width)), stream)


def test_long_streams_are_written_in_parts():
    rng = np.random.default_rng(0)
    values = np.clip(rng.normal(size=(1 << 20) + 5) * 3, -127, 127).astype("int8")
    for form in FORMS[:3]:
        encoded = form(Codes(values))
        got = decode_form(encoded.stream, encoded.ancillary, Codes(np.empty_like(values)))
        assert (got == values).all()


@pytest.mark.parametrize(
    ("stream", "ancillary", "words"),
    [
        (b"\0" * 4, bytes([9, 1, 0, 0, 1]).ljust(16, b"\0"), "names a form that is not known: 09 01"),
        (b"\0" * 4, b"", "names a form that is not known"),
        (b"\0" * 4, bytes([1, 1, 0, 0, 1, 1]).ljust(16, b"\0"), "32-bit entries"),
        (b"\0" * 4, bytes([1, 1, 0, 0, 1, 0]).ljust(20, b"\0"), "no word of its code at bit 0"),
        (b"", bytes([1, 1, 0, 0, 1, 0]).ljust(16, b"\0") + b"\0\x88\1\x88", "ends after 0 of 6"),
    ],
)
def test_a_damaged_form_is_an_error(stream, ancillary, words):
    with pytest.raises(ValueError, match=words):
        decode_form(stream, ancillary, Codes(np.empty((2, 3), "int8")))


@settings(deadline=None)
@given(codes=kernels(), seed=st.integers(0, 10**6))
def test_a_damaged_form_is_an_error_or_another_kernel(codes, seed):
    rng = np.random.default_rng(seed)
    empty = Codes(np.empty_like(codes.values), codes.axis, codes.zero_point)
    for form in FORMS:
        if (encoded := form(codes)) is None:
            continue
        stream, ancillary = bytearray(encoded.stream), bytearray(encoded.ancillary)
        for damaged in (stream, ancillary):
            damaged[int(rng.integers(len(damaged)))] ^= 1 << int(rng.integers(8))
            del damaged[int(rng.integers(1, len(damaged) + 1)) :]
        try:
            got = decode_form(bytes(stream), bytes(ancillary), empty)
        except ValueError as error:
            assert "TFLM_DECODE" in str(error)
        else:
            assert got.shape == codes.values.shape and got.dtype == codes.values.dtype


@given(values=arrays.arrays("int8", st.integers(1, 300), elements=st.integers(-3, 3)))
def test_no_huffman_code_is_below_the_entropy(values):
    lengths = code_lengths(np.bincount(values.view("uint8"), minlength=256))
    bits = lengths[values.view("uint8")].sum()
    assert entropy_bytes(values) <= np.ceil(bits / 8)


def test_the_entropy_of_floats_counts_their_table():
    two = np.tile(np.array([0.5, -1.0], "float32"), 500)
    assert entropy_bytes(two) == 125 + 8
    assert entropy_bytes(np.arange(1000, dtype="float32")) == 4000  # never more than they are
    assert entropy_bytes(np.zeros((0, 3), "int8")) == 0
