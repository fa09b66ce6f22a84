"""What a sample could have shown, whether or not it did."""

from scipy.special import ndtri, stdtrit

from mlops_assets.statistics.inputs import StatisticsInputError, share


def smallest_detectable(
    low: float, high: float, *, confidence: float = 0.95, power: float = 0.8, freedom: float | None = None
) -> float:
    """Give the true difference that a test with this interval would notice with chance `power`.

    Only the width of the interval counts, not where it lies, so this is no power "after the fact" of what was found.

    Args:
        low: Lower end of the interval of a difference.
        high: Its upper end.
        confidence: Confidence of that interval.
        power: Wanted chance to notice; 0.8 is four times in five.
        freedom: Degrees of freedom of the interval, if it was taken over clusters.

    Raises:
        StatisticsInputError: The interval ends before it begins.

    Source: Hoenig and Heisey, The American Statistician 55 (2001) 19, on why only the width may count.

    >>> round(smallest_detectable(-1.96, 1.96), 2)
    2.8
    """
    if high < low:
        raise StatisticsInputError(f"The interval {low} to {high} ends before it begins.", low=low, high=high)
    tails = ((1 + share(confidence, name="confidence")) / 2, share(power, name="power"))
    critical, beyond = (float(ndtri(tail) if freedom is None else stdtrit(freedom, tail)) for tail in tails)
    return (high - low) / (2 * critical) * (critical + beyond)
