"""What the losses refuse."""

import numpy as np
import pytest

import tfopt.distillation as td


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: td.DecoupledTargets(alpha=-1),
            ValueError,
            r"'alpha' argument of DecoupledTargets .*>= 0. Got -1",
        ),
        (
            lambda: td.DecoupledTargets(beta="8"),
            TypeError,
            r"'beta' argument .* number, or a schedule.* Got '8'",
        ),
        (lambda: td.DecoupledTargets(temperature=0), ValueError, r"'temperature' .* > 0. Got 0 instead"),
        (
            lambda: td.RelationalKD(angle=float("nan")),
            ValueError,
            r"'angle' argument of RelationalKD .* Got nan",
        ),
        (lambda: td.BoundedRegression(margin=-0.1), ValueError, r"'margin' argument .* Got -0.1"),
        (
            lambda: td.LogitMSE(weight=lambda step: -1.0),
            ValueError,
            r"'weight' .* Got -1.0 at step 0 instead",
        ),
        (
            lambda: td.FeatureMatching("conv"),
            TypeError,
            r"'layers' argument of FeatureMatching .* Got 'conv'",
        ),
        (lambda: td.FeatureMatching([("a", "b", "c")]), TypeError, r"'layers' argument .* pairs"),
        (lambda: td.AttentionMaps(), ValueError, r"'layers' argument of AttentionMaps .* at least one"),
        (lambda: td.KerasDistillationLoss("mse"), TypeError, r"'loss' argument .* Got 'mse' instead"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("loss", "teacher", "student"),
    [
        (td.FeatureMatching(), (2, 4, 4, 3), (2, 16, 3)),
        (td.HiddenStates(), (2, 5, 3), (2, 6, 3)),
        (td.AttentionTransfer(), (2, 3), (2, 3)),
        (td.SimilarityPreserving(), (2,), (2, 3)),
        (td.RelationalKD(), (2, 3), (2,)),
    ],
)
def test_features_that_cannot_be_compared(loss, teacher, student):
    with pytest.raises(
        ValueError, match=f"{type(loss).__name__} compares .* must have .*Choose other layers"
    ):
        loss.compare([np.ones(teacher)], [np.ones(student)])
