"""What may change in the models' outputs without changing the losses."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import tfopt.distillation as td
from tests.distillation.references import normal, softmax
from tests.distillation.test_losses import LOSSES

floats = st.floats(-100.0, 100.0)


@settings(max_examples=15, deadline=None)
@given(floats, floats, st.integers(0, 2**32 - 1))
def test_a_constant_added_to_all_logits_changes_nothing(shift_t, shift_s, seed):
    t, s = normal((5, 4), seed), normal((5, 4), seed + 1)
    for name in ("soft_targets", "logit_mse", "decoupled_targets"):
        row = LOSSES[name]
        np.testing.assert_allclose(
            row.function(t + shift_t, s + shift_s, *row.extra), row.function(t, s, *row.extra), atol=1e-9
        )


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 100.0), st.integers(0, 2**32 - 1))
def test_scale_rotation_and_position_of_features(scale, seed):
    t, s = normal((5, 6), seed), normal((5, 6), seed + 1)
    rotation = np.linalg.qr(normal((6, 6), seed + 2))[0]
    for name in ("similarity_preserving", "relational_distances", "relational_angles"):
        function = LOSSES[name].function
        np.testing.assert_allclose(function(t, scale * s @ rotation), function(t, s), atol=1e-9)
    for name in ("relational_distances", "relational_angles"):
        function = LOSSES[name].function
        np.testing.assert_allclose(function(t + scale, s), function(t, s), atol=1e-9)
    maps = t.reshape(5, 3, 2), s.reshape(5, 3, 2)
    np.testing.assert_allclose(
        td.attention_transfer(maps[0], -scale * maps[1][..., ::-1]), td.attention_transfer(*maps), atol=1e-9
    )


def test_decoupled_targets_are_soft_targets_with_the_teachers_doubt_for_beta():
    t, s = normal((6, 5), 0, 2.0), normal((6, 5), 1, 2.0)
    target = t.argmax(-1)
    doubt = 1 - softmax(t / 3.0)[np.arange(6), target]
    got = td.decoupled_targets(t, s, target, alpha=1.0, beta=doubt, temperature=3.0)
    np.testing.assert_allclose(got, td.soft_targets(t, s, 3.0), rtol=1e-9)
