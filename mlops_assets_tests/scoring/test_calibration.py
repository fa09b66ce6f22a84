"""Scores of a calibrated bundle: the same bits for one row as for many, rising, within 0 and 1."""

import numpy as np
import pytest

from mlops_assets.digests import canonical_json
from mlops_assets.errors import BundleError
from mlops_assets.scoring import CALIBRATION_PART, CalibratedScorer, Calibrator, calibrated, calibrator_of


@pytest.fixture(scope="module")
def line():
    """A line of a hundred knots of no round numbers."""
    generator = np.random.default_rng(1)
    scores, chances = np.sort(generator.random(100)), np.sort(generator.random(100))
    return Calibrator(
        method="isotonic", scores=tuple(scores.tolist()), probabilities=tuple(chances.tolist()), rows=1000
    )


@pytest.fixture(scope="module")
def scores(line):
    """Scores between the knots, on them, right beside them and beyond."""
    generator = np.random.default_rng(2)
    knots = np.array(line.scores)
    return np.concatenate(
        [generator.random(5000), knots, np.nextafter(knots, 0), np.nextafter(knots, 1), [0.0, 1.0, 5e-324]]
    )


def test_one_row_and_many_get_the_same_bits(line, scores):
    """Nothing depends on what else is asked."""
    many = line(scores)

    assert np.concatenate([line(scores[i : i + 1]) for i in range(len(scores))]).tobytes() == many.tobytes()
    assert line(scores[::-3][::-1]).tobytes() == np.ascontiguousarray(many[::-3][::-1]).tobytes()


def test_a_better_score_is_never_a_worse_probability(line, scores):
    """Not by one last bit, at the knots least of all."""
    risen = line(np.sort(scores))

    assert (np.diff(risen) >= 0).all()
    assert risen.min() == line.probabilities[0]
    assert risen.max() == line.probabilities[-1]


def test_a_bundle_keeps_the_line_in_every_bit(line, scores):
    """Written and read again it answers the same; without the part scores are what they were."""
    parts = {CALIBRATION_PART: canonical_json(line)}

    assert calibrated(parts, scores).tobytes() == line(scores).tobytes()
    assert calibrated({}, scores) is scores
    assert calibrator_of({}) is None


def test_a_scorer_behind_which_a_line_is_put_answers_along_it(line, scores):
    """And is as wide as it was."""

    class Plain:
        features = 1

        def score(self, vectors):
            return vectors[:, 0]

    scorer = CalibratedScorer(Plain(), line)

    assert scorer.features == 1
    assert scorer.score(scores[:, None]).tobytes() == line(scores).tobytes()


@pytest.mark.parametrize(
    ("knots", "chances"),
    [
        ((0.1, 0.1), (0.2, 0.3)),
        ((0.1, 0.2), (0.3, 0.2)),
        ((0.1, 0.2), (0.0, 0.2)),
        ((0.1,), (0.2,)),
        ((0, 1), (0.5, 1)),
    ],
)
def test_knots_that_do_not_rise_within_0_and_1_are_refused(knots, chances):
    """Nor is a part that is none."""
    part = canonical_json({"method": "isotonic", "scores": knots, "probabilities": chances, "rows": 9})

    with pytest.raises(BundleError, match=r"calibration.*Train and deploy the model again"):
        calibrator_of({CALIBRATION_PART: part})
    with pytest.raises(BundleError, match="cannot be read"):
        calibrator_of({CALIBRATION_PART: b"{}"})
