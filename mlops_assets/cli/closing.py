"""The closing table of a replay: what was trained, refused and deployed, why, and what it was worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from mlops_assets.cli.project import Project
from mlops_assets.cli.traffic import Traffic
from mlops_assets.governance import Event, gaps
from mlops_assets.orchestration.steps import check_parity, sealed_predictions
from mlops_assets.orchestration.steps.live.comparing import Month, by_month
from mlops_assets.records import ParityReport

TOLD = {
    Event.DATA_QUARANTINED: "quarantined",
    Event.DATA_BLOCKED: "batch refused",
    Event.RETRAIN_TRIGGERED: "retraining asked for",
    Event.MODEL_TRAINED: "trained",
    Event.GATE_REFUSED: "challenger refused",
    Event.GATE_PASSED: "challenger passed",
    Event.GATE_LEFT_OPEN: "challenger left to a person",
    Event.DEPLOYMENT_COMPLETED: "deployed",
    Event.DEPLOYMENT_FAILED: "deployment failed",
    Event.ROLLED_BACK: "rolled back",
}
SAMPLE = 5000


@dataclass(frozen=True, kw_only=True)
class Happening:
    """One thing that happened, as the audit log tells it."""

    at: str
    subject: str
    what: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Something that should hold after a replay, and whether it does."""

    what: str
    met: bool
    found: str


@dataclass(frozen=True, kw_only=True)
class Closing:
    """Everything the closing table says, as data."""

    story: tuple[Happening, ...]
    months: dict[str, tuple[Month, ...]]
    expectations: tuple[Expectation, ...]
    requests: int
    failed_requests: int

    @property
    def as_it_should_be(self) -> bool:
        """Tell whether every expectation is met."""
        return all(expectation.met for expectation in self.expectations)

    def write(self, file: Path) -> None:
        """Write it as JSON."""
        file.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")


def close(project: Project, traffic: Traffic, *, flagship: str) -> Closing:
    """Draw up what happened in a home, from its audit log, its ledger and its sealed predictions."""
    home = project.home
    entries = home.state.audit_entries()
    asked = {name: folder for name, folder in project.models.items() if home.tables.exists(f"{name}/predictions")}
    months = {name: tuple(by_month(folder, home)) for name, folder in asked.items()}
    parity = {
        name: check_parity(folder, home, sealed_predictions(home, name), at_most=SAMPLE)
        for name, folder in asked.items()
    }
    return Closing(
        story=tuple(
            Happening(
                at=f"{entry.at:%Y-%m-%d}",
                subject=str(entry.subject.get("model") or entry.subject.get("table")),
                what=TOLD[Event(entry.event)],
                why=_why(entry.event, entry.data),
            )
            for entry in entries
            if entry.event in TOLD
        ),
        months=months,
        expectations=tuple(_expectations(project, traffic, months[flagship], parity)),
        requests=traffic.requests,
        failed_requests=len(traffic.failures),
    )


def show(closing: Closing, console: Console) -> None:
    """Print the closing table."""
    story = Table("when", "what", "who", "why", title="What happened", title_justify="left", expand=True)
    for happening in closing.story:
        style = {"challenger refused": "yellow", "batch refused": "yellow", "deployed": "green"}.get(happening.what, "")
        story.add_row(happening.at, happening.what, happening.subject, happening.why, style=style)
    console.print(story)
    for name, months in closing.months.items():
        console.print(_value_table(name, months))
    for expectation in closing.expectations:
        mark = "[green]as it should be[/]" if expectation.met else "[red]NOT as it should be[/]"
        console.print(f"  {mark}  {expectation.what}: {expectation.found}")


def _value_table(name: str, months: Sequence[Month]) -> Table:
    binary = bool(months) and months[0].loop.precision is not None
    table = Table(title=f"{name}: with the loop | with the first version left alone", title_justify="left")
    table.add_column("month")
    headings = [
        "decisions",
        "AUC" if binary else "RMSE",
        *(["right of top 10 %", "late ones caught", "EUR"] if binary else []),
    ]
    for heading in headings:
        table.add_column(heading, justify="right")
    for month in months:
        loop, static = month.loop, month.static
        row = [month.month, f"{month.decisions:,}", f"{loop.metric:.3f} | {static.metric:.3f}"]
        if binary:
            row += [
                f"{a or 0:.0%} | {b or 0:.0%}"
                for a, b in ((loop.precision, static.precision), (loop.recall, static.recall))
            ]
            row += [f"{loop.value or 0:,.0f} | {static.value or 0:,.0f}"]
        table.add_row(*row)
    return table


def _expectations(
    project: Project, traffic: Traffic, months: Sequence[Month], parity: Mapping[str, ParityReport]
) -> list[Expectation]:
    home = project.home
    entries = home.state.audit_entries()
    count = {event: sum(entry.event == event for entry in entries) for event in Event}
    by_sensor = [
        entry for entry in entries if entry.event == Event.RETRAIN_TRIGGERED and entry.actor == "sensor:retrain"
    ]
    redeployed = sum(entry.event == Event.DEPLOYMENT_COMPLETED and bool(entry.data["replaces"]) for entry in entries)
    decisions = sum(month.decisions for month in months)
    gain = sum(month.decisions * (month.loop.metric - month.static.metric) for month in months) / max(decisions, 1)
    worth = sum((month.loop.value or 0) - (month.static.value or 0) for month in months)
    stopped = count[Event.DATA_QUARANTINED] + count[Event.DATA_BLOCKED]
    compared, equal = (sum(getattr(report, name) for report in parity.values()) for name in ("n", "equal"))
    lost = "; ".join(traffic.failures[:3])
    verified, holes = home.state.audit_verify(), gaps(entries)
    return [
        Expectation(
            what="retrainings by the sensor, each with its reason", met=len(by_sensor) >= 1, found=f"{len(by_sensor)}"
        ),
        Expectation(what="batches quarantined or refused", met=stopped >= 1, found=f"{stopped}"),
        Expectation(
            what="challengers refused by the gate",
            met=count[Event.GATE_REFUSED] >= 1,
            found=f"{count[Event.GATE_REFUSED]}",
        ),
        Expectation(what="redeployments", met=redeployed >= 1, found=f"{redeployed}"),
        Expectation(
            what="failed requests",
            met=not traffic.failures,
            found=f"{len(traffic.failures)} of {traffic.requests:,}, {traffic.during_releases:,} in releases {lost}",
        ),
        Expectation(
            what="AUC of the loop over the first version left alone",
            met=gain > 0,
            found=f"{gain:+.3f}, worth {worth:+,.0f} EUR",
        ),
        Expectation(
            what="served vectors equal to recomputed ones, bit for bit",
            met=equal == compared > 0,
            found=f"{equal:,} of {compared:,}",
        ),
        Expectation(
            what="audit log unchanged, nothing live without its evidence",
            met=not holes,
            found=f"{verified} entries, {len(holes)} gaps",
        ),
    ]


def _why(event: str, data: Mapping[str, Any]) -> str:
    if event == Event.DATA_QUARANTINED:
        return f"{data['rows']} rows: " + ", ".join(f"{rule} {count}" for rule, count in data["rules"].items())
    if event == Event.DATA_BLOCKED:
        return "; ".join(data["reasons"])
    if event in (Event.GATE_PASSED, Event.GATE_REFUSED, Event.GATE_LEFT_OPEN):
        told = [reason for reason in data["reasons"] if not reason.startswith("Note")]
        return str(told[0] if event != Event.GATE_PASSED else next((r for r in told if "champion" in r), told[-1]))
    if event == Event.MODEL_TRAINED:
        return f"on {data['rows']:,} rows"
    if event == Event.DEPLOYMENT_COMPLETED:
        return f"version {data['version']}, generation {data['generation']}"
    return str(data.get("reason", ""))
