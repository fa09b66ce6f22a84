"""How many rows a batch is expected to have: declared bounds, and what earlier batches had."""

from collections.abc import Mapping
from datetime import date, timedelta
from statistics import median
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from mlops_assets.errors import DeclarationError

FEWEST = 3  # days of the same weekday, before which all days are looked at together
A_WEEK = 7  # days of any kind, before which there is nothing to compare with
LEAST_SHARE = 0.6  # of what is usual, or of the smallest day: half of a batch that is somewhat large is caught, too
SMALL = 20  # rows; of fewer, half or double is chance
SPREADS = 5.0  # how many standard deviations off is odd, if the spread of the other days says more than `tolerance`
TO_DEVIATION = 1.4826  # a normal distribution's standard deviation, in median absolute deviations


class VolumePolicy(BaseModel, frozen=True, extra="forbid"):
    """When a batch is too small or too large, and what follows."""

    min_rows: int | None = Field(default=None, ge=1, description="Fewest rows of a batch.")
    max_rows: int | None = Field(default=None, ge=1, description="Most rows of a batch.")
    comparable: int = Field(
        default=8, ge=0, description="How many earlier days of the same weekday a day is compared with; 0 for none."
    )
    tolerance: float = Field(
        default=0.3, gt=0, le=0.4, description="A share of the usual rows that may always be missing or too many."
    )
    on_fault: Literal["warn", "block"] = Field(default="warn", description="block: the batch does not go on.")

    @model_validator(mode="after")
    def _bounds_leave_room(self) -> Self:
        if self.min_rows is not None and self.max_rows is not None and self.min_rows > self.max_rows:
            raise DeclarationError(
                f"min_rows is {self.min_rows} and max_rows {self.max_rows}, so no batch could be right. Swap them."
            )
        return self


def odd_day(policy: VolumePolicy, rows: int, *, day: str, earlier: Mapping[str, int]) -> str | None:
    """Say what is odd about the rows of a day, None if nothing is.

    With three earlier days of the same weekday, the band around their median reaches five standard deviations to either
    side, told from the median absolute deviation; at least `tolerance` of the median, and at most 40 % of it. Before
    that, a week of days of any kind bounds it: from 60 % of the second smallest to as much above the second largest.

    Args:
        policy: What was declared.
        rows: How many rows came.
        day: The day, YYYY-MM-DD.
        earlier: Rows of other days; those after `day` are not looked at.
    """
    if (fault := _outside_bounds(policy, rows)) or not policy.comparable:
        return fault
    weeks = [(date.fromisoformat(day) - timedelta(weeks=n)).isoformat() for n in range(1, policy.comparable + 1)]
    alike = [earlier[past] for past in weeks if past in earlier]
    if len(alike) >= FEWEST:
        usual = median(alike)
        spread = TO_DEVIATION * median(abs(count - usual) for count in alike)
        width = min(max(policy.tolerance * usual, SPREADS * spread), (1 - LEAST_SHARE) * usual)
        what = f"the {len(alike)} days before of the same weekday had {usual:g} in the middle"
        return _outside_band(rows, usual, usual - width, usual + width, what)
    lately = sorted(rows for past, rows in earlier.items() if weeks[-1] <= past < day)
    if len(lately) < A_WEEK:
        return None
    smallest, largest = lately[1], lately[-2]  # one day may be odd itself, as the first of an archive often is
    what = f"the {len(lately)} days before had between {smallest} and {largest}, but for one to either side"
    return _outside_band(rows, smallest, LEAST_SHARE * smallest, largest / LEAST_SHARE, what)


def odd_whole(policy: VolumePolicy, rows: int, *, before: int | None) -> str | None:
    """Say what is odd about the rows of a table that is read whole; `before` is how many it had, if it was read."""
    fault = _outside_bounds(policy, rows)
    if fault or before is None or not policy.comparable:
        return fault
    return _outside_band(rows, before, before / 2, 2 * before, f"the table had {before}")


def _outside_bounds(policy: VolumePolicy, rows: int) -> str | None:
    if not rows:
        return "0 rows came"
    if policy.min_rows is not None and rows < policy.min_rows:
        return f"{rows} rows came, fewer than the {policy.min_rows} declared"
    if policy.max_rows is not None and rows > policy.max_rows:
        return f"{rows} rows came, more than the {policy.max_rows} declared"
    return None


def _outside_band(rows: int, usual: float, low: float, high: float, what: str) -> str | None:
    if usual < SMALL or low < rows < high:
        return None
    return f"{rows} rows came, and {what}: more than {low:.0f} and fewer than {high:.0f} were expected"
