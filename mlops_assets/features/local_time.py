"""Wall-clock time of a zone from UTC, vectorised, right through daylight saving."""

from bisect import bisect_left
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mlops_assets.errors import FeatureError

Times = npt.NDArray[np.datetime64]

FIRST_YEAR, END_YEAR = 1970, 2100
DAY_S = 86_400  # no zone has changed its offset and changed it back within a day

_HOURS, _DAYS, _YEARS = np.dtype("datetime64[h]"), np.dtype("datetime64[D]"), np.dtype("datetime64[Y]")
_EPOCH_HOUR, _EPOCH_DAY = np.datetime64(0, "h"), np.datetime64(0, "D")
_HOUR, _DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")


@lru_cache(maxsize=64)
def _transitions(zone: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.timedelta64]]:
    """Give when each UTC offset of `zone` begins, in microseconds since 1970, and the offsets; NaT outside the years.

    `zoneinfo` has no public table of its transitions, so each is found by halving the day it lies in.
    """
    try:
        clock = ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise FeatureError(
            f"time zone {zone!r} is not in this machine's IANA database, so local times cannot be told. "
            "Write a name like 'America/New_York', or install the package 'tzdata'.",
            zone=zone,
        ) from error

    def offset_s(second: int) -> float:
        offset = datetime.fromtimestamp(second, clock).utcoffset()
        return offset.total_seconds() if offset else 0.0

    def change_within(before: int, after: int) -> int:
        seconds = range(before, after)
        return seconds[0] + bisect_left(seconds, True, key=lambda second: offset_s(second) != offset_s(before))

    first, end = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (FIRST_YEAR, END_YEAR))
    starts, offsets = [first], [offset_s(first)]
    for day in range(first, end, DAY_S):
        if offset_s(day + DAY_S) != offsets[-1]:
            starts.append(change_within(day, day + DAY_S))
            offsets.append(offset_s(day + DAY_S))
    begins = np.array([*starts, end], dtype=np.int64) * 1_000_000
    ahead = np.array([*(int(offset) for offset in offsets), "NaT", "NaT"], dtype="timedelta64[s]")
    ahead = ahead.astype("timedelta64[us]")  # the last NaT is index -1: before the first year
    begins.flags.writeable = ahead.flags.writeable = False
    return begins, ahead


def local_time(utc: Times, zone: str) -> Times:
    """Give the wall-clock time in `zone` at each moment of `utc`; NaT for NaT and outside 1970-2099.

    Args:
        utc: `datetime64[us]` in UTC, any shape.
        zone: A name of the IANA time zone database, such as `America/New_York`.

    >>> local_time(np.array(["2013-03-10T06:59", "2013-03-10T07:00"], "datetime64[us]"), "America/New_York").tolist()
    [datetime.datetime(2013, 3, 10, 1, 59), datetime.datetime(2013, 3, 10, 3, 0)]
    """
    if utc.dtype != "datetime64[us]":
        raise FeatureError(f"local_time wants datetime64[us], not {utc.dtype}. Cast it first.", dtype=str(utc.dtype))
    begins, ahead = _transitions(zone)
    local: Times = utc + ahead[begins.searchsorted(utc.view(np.int64), "right") - 1]
    return local


def hour_of_day(times: Times) -> npt.NDArray[np.float64]:
    """Give the whole hour, 0-23; NaN for NaT.

    >>> hour_of_day(np.array(["2013-03-10T06:59", "NaT"], "datetime64[us]")).tolist()
    [6.0, nan]
    """
    hours: Any = times.astype(_HOURS) - _EPOCH_HOUR
    return hours / _HOUR % 24.0  # type: ignore[no-any-return]


def day_of_week(times: Times) -> npt.NDArray[np.float64]:
    """Give the day of the week, 0 for Monday to 6 for Sunday; NaN for NaT.

    >>> day_of_week(np.array(["2013-03-10T06:59"], "datetime64[us]")).tolist()
    [6.0]
    """
    days: Any = times.astype(_DAYS) - _EPOCH_DAY
    return (days / _DAY + 3.0) % 7.0  # type: ignore[no-any-return]  # 1970-01-01 was a Thursday


def day_of_year(times: Times) -> npt.NDArray[np.float64]:
    """Give the day of the year, 1-366; NaN for NaT.

    >>> day_of_year(np.array(["2013-12-31T06:59"], "datetime64[us]")).tolist()
    [365.0]
    """
    days: Any = times.astype(_DAYS) - times.astype(_YEARS).astype(_DAYS)
    return days / _DAY + 1.0  # type: ignore[no-any-return]
