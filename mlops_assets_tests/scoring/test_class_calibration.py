"""Calibrated probabilities of several classes: the same bits alone or in company, and a sum of one."""

import numpy as np
import pytest
from scipy.special import softmax

from mlops_assets.digests import canonical_json
from mlops_assets.errors import BundleError
from mlops_assets.scoring import CALIBRATION_PART, CalibratedScorer, ClassCalibrator, Knots, calibrated, calibrator_of

CLASSES = 9  # more than NumPy adds up in one go


@pytest.fixture(scope="module")
def lines():
    """A line of forty knots of no round numbers for each class."""
    generator = np.random.default_rng(1)

    def drawn():
        return tuple(np.sort(generator.random(40)).tolist())

    each = tuple(Knots(scores=drawn(), heights=drawn()) for _ in range(CLASSES))
    return ClassCalibrator(method="isotonic", lines=each, rows=1000)


@pytest.fixture(scope="module")
def scores():
    """Rows that are sure, unsure, and certain."""
    generator = np.random.default_rng(2)
    return np.concatenate([softmax(3 * generator.normal(size=(2000, CLASSES)), axis=1), np.eye(CLASSES)])


@pytest.mark.parametrize("order", ["C", "F"])
def test_one_row_and_many_get_the_same_bits_however_they_lie_in_memory(lines, scores, order):
    """Sums are taken class by class."""
    many = lines(np.asarray(scores, order=order))

    alone = [lines(scores[place : place + 1]) for place in range(len(scores))]

    assert np.concatenate(alone).tobytes() == np.ascontiguousarray(many).tobytes()
    assert many.sum(axis=1) == pytest.approx(np.ones(len(scores)), abs=1e-12)
    assert (many > 0).all()


def test_one_line_serves_all_classes_and_keeps_their_order(scores):
    """As the temperature does."""
    knots = np.linspace(0.001, 1, 50)
    found = ClassCalibrator(method="temperature", lines=(Knots(scores=tuple(knots), heights=tuple(knots**2)),), rows=9)

    assert (found(scores).argmax(axis=1) == scores.argmax(axis=1)).all()


def test_a_bundle_keeps_the_lines_in_every_bit(lines, scores):
    """Trainer and endpoint answer the same."""
    parts = {CALIBRATION_PART: canonical_json(lines)}

    class Plain:
        features = CLASSES

        def score(self, vectors):
            return vectors

    assert calibrated(parts, scores).tobytes() == lines(scores).tobytes()
    assert CalibratedScorer(Plain(), calibrator_of(parts)).score(scores).tobytes() == lines(scores).tobytes()


def test_lines_that_fall_or_are_of_other_classes_are_refused(lines, scores):
    """A likelier class could become a less likely one."""
    with pytest.raises(BundleError, match="must rise"):
        Knots(scores=(0.1, 0.2), heights=(0.3, 0.2))
    with pytest.raises(BundleError, match="must rise"):
        Knots(scores=(0.1, 0.2), heights=(0.0, 0.2))
    with pytest.raises(BundleError, match="lines of 9 classes"):
        lines(scores[:, :3])
    with pytest.raises(BundleError, match="no line for any class"):
        ClassCalibrator(method="isotonic", lines=(), rows=1)
