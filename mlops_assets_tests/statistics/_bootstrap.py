"""The bootstrap as the books have it, row by row: what faster ways are held against."""

import numpy as np


def bootstrap_interval(statistic, n, *, seed, resamples=1000, clusters=None):
    """Give the 95 % percentile interval of `statistic`, a function of row numbers; whole clusters are drawn if given.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    of_cluster = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    members = [np.flatnonzero(of_cluster == cluster) for cluster in range(of_cluster.max() + 1)]
    chance = np.random.default_rng(seed)
    drawn = [
        statistic(np.concatenate([members[unit] for unit in chance.integers(0, len(members), len(members))]))
        for _ in range(resamples)
    ]
    return tuple(np.quantile(drawn, [0.025, 0.975]))
