"""A fit that is cut off each time it has saved its progress, until it has none left to save."""

from collections.abc import Callable

from mlops_assets import testing
from mlops_assets.training import Fitted


def cut_off_at_every_save(fit: Callable[..., Fitted]) -> tuple[Fitted, int]:
    """Give what the fit ends with, and how often it was cut off."""
    fitted, cuts = testing.cut_off_at_every_save(fit)
    assert fitted is not None, "it does not get any further"
    assert cuts < 100
    return fitted, cuts
