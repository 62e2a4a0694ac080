"""With `for_target("tflm")` every file computes on TFLite Micro what its simulation does, or the reason is named."""

import pytest

import tfopt
from tests.conversion.cases import CASES, ISLANDS
from tests.conversion.forms import FORMS
from tests.conversion.inexact import INEXACT
from tests.conversion.rows import FUSED_ROWS, QUICK_ROWS, RECURRENT_ROWS, build, by_row, quick, side_by_side
from tests.models import samples_for, trained_like
from tests.quantization.battery import BATTERY
from tests.quantization.test_battery import trained

pytest.importorskip("tflite_micro.python.tflite_micro.runtime")

# Rows that become operators which TFLite Micro lacks.
REFUSED = {"Prod": "REDUCE_PROD"}

# Rows that stay float with 16-bit activations, in operators that it lacks or that are wrong there.
NOT_16 = {*RECURRENT_ROWS - FUSED_ROWS, "softmax of masks that are computed"}

# Rows whose operators it has, but not for these tensors: what it says.
NOT_LOADED = {"Cropping3D": "input dim should not exceed 4"}


def tflm(bits=8):
    return tfopt.QuantConfig.for_target("tflm", activation_bits=bits)


def check_equal(name, outputs, exceptions):
    least, _, reason = exceptions.get(name, (1.0, "", "every code must be equal"))
    for output in outputs:
        assert not isinstance(output, str), output
        assert output.runtime == "tflm"
        assert output.equal >= least, f"{reason}: {output}"


def measure(bits, path):
    """From the names of rows to what TFLite Micro gave for each; None for those that it does not load."""

    def converted(names):
        left_out = {*NOT_LOADED, *(NOT_16 if bits == 16 else ())}
        kept = [name for name in names if name not in left_out]
        model = trained_like(side_by_side(kept))
        samples = samples_for(model, 24)
        q = tfopt.quantize(model, samples, tflm(bits))
        tfopt.export(q, path)
        verified = tfopt.verify(q, path, samples, per_tensor=False)
        if verified.failure:  # of the whole group, which is not converted again for each of its rows
            return [verified.failure] * len(names)
        if bits == 8:  # of 16 bits a group has more buffers with decoders than TFLite Micro takes
            # Raises where one code of an output differs: most of all a test of what is stripped.
            tfopt.compression.compress_weights(path, path.with_name("small.tflite"))
        found = dict(zip(kept, verified.outputs, strict=True))
        return [found.get(name) for name in names]

    return by_row(converted)


@pytest.fixture(scope="module")
def parity(tmp_path_factory):
    return measure(8, tmp_path_factory.mktemp("rows") / "model.tflite")


@pytest.fixture(scope="module")
def parity_16(tmp_path_factory):
    return measure(16, tmp_path_factory.mktemp("rows") / "model.tflite")


ROWS = [name for name in (*CASES, *FORMS) if name not in NOT_LOADED]


@pytest.mark.parametrize("name", quick(ROWS, QUICK_ROWS))
def test_operation(name, parity):
    check_equal(name, [parity(name)], INEXACT[8])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ROWS if name not in NOT_16])
def test_operation_of_16_bits(name, parity_16):
    check_equal(name, [parity_16(name)], INEXACT[16])


@pytest.mark.slow
@pytest.mark.parametrize("name", NOT_LOADED)
def test_what_it_does_not_load_is_named(name, tmp_path):
    model = trained_like(build(name))
    samples = samples_for(model, 8)
    q = tfopt.quantize(model, samples, tflm())
    tfopt.export(q, tmp_path / "model.tflite")
    assert NOT_LOADED[name] in tfopt.verify(q, tmp_path / "model.tflite", samples).failure


@pytest.mark.parametrize("name", quick([name for name in ISLANDS if name not in REFUSED], ["Floor"]))
def test_island(name, tmp_path):
    model = trained_like(build(name))
    samples = samples_for(model, 24)
    q = tfopt.quantize(model, samples, tflm())
    assert any(row.done == "float" for row in q.report.layers)
    tfopt.export(q, tmp_path / "model.tflite")
    verified = tfopt.verify(q, tmp_path / "model.tflite", samples, per_tensor=False)
    assert not verified.failure
    check_equal(name, verified.outputs, INEXACT[8])


@pytest.mark.parametrize("name", quick(REFUSED, ["Prod"]))
def test_what_it_lacks_is_named_before_training_and_refused_in_the_end(name, tmp_path):
    model = trained_like(build(name))
    refused = [row for row in tfopt.check(model, "tflm").layers if row.done == "refused"]
    assert refused and all(f"no kernel for {REFUSED[name]}" in row.note for row in refused)
    q = tfopt.quantize(model, samples_for(model, 8), tflm())
    with pytest.raises(ValueError, match=f"TFLite Micro has no kernel for: {REFUSED[name]}"):
        tfopt.export(q, tmp_path / "model.tflite")
    assert not (tmp_path / "model.tflite").exists()


@pytest.mark.parametrize("name", quick(BATTERY, ["siamese"]))
def test_form(name, tmp_path):
    """After a step of training."""
    q, x = trained(name, tflm())
    tfopt.export(q, tmp_path / "q.tflite")
    verified = tfopt.verify(q, tmp_path / "q.tflite", x)
    assert not verified.failure
    check_equal(name, verified.outputs, INEXACT[8])
