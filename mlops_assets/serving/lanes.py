"""What scores a bundle: one lane per kind of model part, none of which brings the library that fitted the model.

A trainer of somebody's own is asked itself, whatever it has written, and brings what it imports.
"""

from collections.abc import Callable, Mapping

from mlops_assets.errors import BundleError
from mlops_assets.scoring import (
    ESTIMATOR_PART,
    NETWORK_PART,
    OWN_PART,
    CalibratedScorer,
    Scorer,
    calibrator_of,
    estimator_scorer,
    network_scorer,
    own_scorer,
)
from mlops_assets.serving.predictor import NativeBooster

LANES: dict[str, Callable[[Mapping[str, bytes]], Scorer]] = {
    "model.txt": lambda parts: NativeBooster(parts["model.txt"]),
    ESTIMATOR_PART: estimator_scorer,
    NETWORK_PART: network_scorer,
    OWN_PART: own_scorer,
}


def open_predictor(parts: Mapping[str, bytes]) -> Scorer:
    """Give what scores a bundle, chosen by the model part it holds.

    Raises:
        BundleError: It holds none, several, or one that cannot be read.
    """
    found = [OWN_PART] if OWN_PART in parts else [part for part in LANES if part in parts]
    if len(found) != 1:
        raise BundleError(
            f"The bundle holds {' and '.join(found) or 'no model'}, where one of {', '.join(LANES)} is needed to say "
            "how it scores. Train and deploy the model again with a trainer whose models this endpoint serves.",
            found=found,
        )
    scorer, calibrator = LANES[found[0]](parts), calibrator_of(parts)
    return scorer if calibrator is None else CalibratedScorer(scorer, calibrator)
