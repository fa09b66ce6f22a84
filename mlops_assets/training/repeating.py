"""Whether a trainer gives the same bytes twice, tried on few rows before anybody relies on it."""

import numpy as np
import numpy.typing as npt

from mlops_assets.records import Task
from mlops_assets.training.fitting import TrainingPolicy, fit
from mlops_assets.training.trainer import TrainingData
from mlops_assets.training.trainers import trainer_named
from mlops_assets.training.tuning import FitsInRounds

TRIED_ROWS = 2000  # enough for chance to show, and a fit of them is over at once
TRIED_ROUNDS = 30


def fits_alike(policy: TrainingPolicy, data: TrainingData, *, own: str | None = None) -> bool:
    """Fit the declared trainer twice on a few rows, and tell whether both fits gave the same bytes.

    A trainer that draws from the clock or from chance is found out here, before its model is judged. What depends on
    the number of threads or on many rows is not; a whole second fit, as `mlops reproduce` does it, shows that.

    Args:
        policy: What to fit; rounds are as declared or few, and nothing is calibrated.
        data: The few rows.
        own: The text of `trainer.py`, for `trainer: own`.

    Raises:
        TrainingError: The trainer cannot fit these rows.
    """
    trainer, params = trainer_named(policy.trainer, own=own), dict(policy.params)
    if isinstance(trainer, FitsInRounds):
        declared = int(trainer.resolve(data.task, params, seed=policy.seed)[trainer.rounds_parameter])
        params[trainer.rounds_parameter] = min(declared, TRIED_ROUNDS)
    plain = policy.model_copy(
        update={
            "params": params,
            "window": policy.window.model_copy(update={"minimum_rows": 1}),
            "validation_days": 0,
            "calibration": "none",
            "tuning": None,
        }
    )
    first, second = (fit(plain, data, own=own).parts for _ in range(2))
    return first == second


def tried_rows(y: npt.NDArray[np.float64], task: Task) -> npt.NDArray[np.int64]:
    """Give the places of about 2,000 rows spread over all of them, the first of each class among them."""
    spread = np.linspace(0, len(y) - 1, min(len(y), TRIED_ROWS)).astype(np.int64)
    firsts = np.unique(y, return_index=True)[1] if task != "regression" else np.array([], dtype=np.int64)
    return np.union1d(spread, firsts)
