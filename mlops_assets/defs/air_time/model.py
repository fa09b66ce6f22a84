"""What air_time predicts, and how it learns."""

import numpy as np
import numpy.typing as npt

PARAMS = {"num_iterations": 150, "num_leaves": 31, "learning_rate": 0.1, "min_data_in_leaf": 50, "lambda_l2": 1.0}


def label(air_time: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Minutes from take-off to touchdown; a flight that was cancelled or diverted has none."""
    return air_time
