"""What a decision about retraining looks at: the live champion, what was seen of it, and what was decided before."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from mlops_assets.records import DriftReport, ModelVersion, PerformanceReport, RetrainingDecision

Report = TypeVar("Report", PerformanceReport, DriftReport)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessEvent:
    """Something that people know and data do not say yet: a new route, a new price list, a new law."""

    name: str
    at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything known at `now` about a model that is live.

    `stale` says of each table it would learn from, and that is older than declared, how old it is.
    `performance` and `drift` hold sufficient windows of this champion only, oldest first, none overlapping another.
    """

    champion: ModelVersion
    performance: tuple[PerformanceReport, ...]
    drift: tuple[DriftReport, ...]
    events: tuple[BusinessEvent, ...]
    requests: tuple[RetrainingDecision, ...]
    refusals: int
    new_rows: int
    in_flight: bool
    stale: Mapping[str, str]
    now: datetime


def judged_windows(
    reports: Iterable[Report], *, champion: ModelVersion, live_since: datetime, now: datetime
) -> tuple[Report, ...]:
    """Give the sufficient windows of this champion since it went live, oldest first.

    Of two reports on the same window the later given counts, since more labels were in; a window that overlaps a newer
    one is left out, or the same day would be counted twice.
    """
    ours = [
        report
        for report in reports
        if report.bundle_sha256 == champion.sha256 and report.sufficient and live_since < report.end <= now
    ]
    return _apart(ours)


def labelled_rows(reports: Iterable[PerformanceReport], *, since: datetime, now: datetime) -> int:
    """Give how many labelled predictions there are that the champion was not trained on."""
    new = [report for report in reports if since <= report.start and report.end <= now]
    return sum(round(report.rows * report.coverage) for report in _apart(new))


def _apart(reports: list[Report]) -> tuple[Report, ...]:
    newest_of = {(report.start, report.end): report for report in reports}
    kept: list[Report] = []
    for report in sorted(newest_of.values(), key=lambda report: (report.end, report.start), reverse=True):
        if not kept or report.end <= kept[-1].start:
            kept.append(report)
    return tuple(reversed(kept))
