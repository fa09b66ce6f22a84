"""What flight_delay predicts, and how it learns."""

import numpy as np
import numpy.typing as npt

PARAMS = {
    "num_iterations": 150,
    "num_leaves": 63,
    "learning_rate": 0.08,
    "max_bin": 63,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
}

Column = npt.NDArray[np.float64]


def label(arr_delay: Column, cancelled: npt.NDArray[np.bool_], diverted: npt.NDArray[np.bool_]) -> Column:
    """1 for a flight that lands more than 15 minutes late, or not at all where it should."""
    return ((arr_delay > 15) | cancelled | diverted).astype(float)
