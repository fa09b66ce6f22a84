"""What is live, how it does and what was decided, as text."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.table import Table

from mlops_assets.cli.printing import console
from mlops_assets.cli.project import Project
from mlops_assets.features.redefinition import computation_of
from mlops_assets.governance import Event, gaps
from mlops_assets.orchestration.freshness import Inputs, stale
from mlops_assets.orchestration.resources import now, replay_time
from mlops_assets.orchestration.steps.live.redefined import not_of_one
from mlops_assets.records import AuditEntry, PerformanceReport


def show_status(project: Project) -> None:
    """Print a row per model: what is live, whether it came out again, how it does, and what was decided last."""
    home = project.home
    clock = " (a replay's)" if replay_time(home) else ""
    table = Table("model", "live", "since", "reproduced", "last window", "metric", "last decision", expand=True)
    for name in project.models:
        release = home.releases.current(name)
        window = max(home.records.partitions((name, "performance")), default=None)
        report = home.records.get((name, "performance"), window, PerformanceReport) if window else None
        decisions = home.state.decisions(name)
        table.add_row(
            name,
            f"version {release.version} ({release.bundle_sha256[:8]})" if release else "nothing",
            f"{release.at:%Y-%m-%d}" if release else "",
            _reproduced(project, name, release.bundle_sha256) if release else "",
            window or "",
            f"{report.metrics[0].name} {report.metrics[0].value:.3f}" if report and report.metrics else "",
            f"{decisions[-1].decided_at:%Y-%m-%d} {decisions[-1].reason}" if decisions else "",
        )
    out = console()
    out.print(f"Time is {now(home):%Y-%m-%d %H:%M} UTC{clock}.")
    out.print(table)
    inputs = Inputs.declared(project.tables, project.views)
    for name, folder in project.models.items():
        for words in stale(inputs.of(folder.declaration), home, now(home)).values():
            out.print(f"{name} is not retrained by itself for now: {words}.")


def _reproduced(project: Project, model: str, bundle_sha256: str) -> str:
    """Say what came of making a version again from its record the last time it was tried."""
    tried = [
        entry
        for entry in project.home.state.audit_entries(model=model)
        if entry.event in (Event.REPRODUCED, Event.NOT_REPRODUCED) and entry.subject["bundle_sha256"] == bundle_sha256
    ]
    if not tried:
        return "not tried"
    level = tried[-1].data["level"] if tried[-1].event == Event.REPRODUCED else "NOT reproduced"
    return f"{level}, {tried[-1].at:%Y-%m-%d}"


@contextmanager
def telling_quarantines(project: Project) -> Iterator[None]:
    """Tell which rows went into quarantine in the course of a block, and why."""
    state = project.home.state
    before = len(state.audit_entries())
    try:
        yield
    finally:
        for entry in state.audit_entries(after_seq=before):
            if entry.event == Event.DATA_QUARANTINED:
                table, rules = entry.subject["table"], entry.data["rules"].items()
                why = ", ".join(f"{rule} {count}" for rule, count in rules)
                click.echo(f"{entry.data['rows']} rows of {table} went to quarantine/{table}: {why}")


def show_other_definitions(project: Project) -> None:
    """Tell which days of views were computed by another definition than declared, and which live model learnt one."""
    for name, (_, view) in project.views.items():
        if project.home.tables.exists(f"features/{name}"):
            for said in not_of_one(project.home, computation_of(view)):
                click.echo(f"beware: {said}")


def show_audit(project: Project, model: str | None) -> None:
    """Print the audit log, one line an entry."""
    entries = project.home.state.audit_entries(model=model)
    if not entries:
        click.echo(f"No entry is about {model}." if model else "Nothing has happened yet.")
    for entry in entries:
        named = sorted(entry.subject.items(), key=lambda each: each[0].endswith("sha256"))  # names first, digests last
        subject = " ".join(f"{key}={value if key != 'bundle_sha256' else value[:12]}" for key, value in named)
        why = _why(entry)
        click.echo(
            f"{entry.seq:>5} {entry.at:%Y-%m-%d %H:%M} {entry.event:<24} {subject}  by {entry.actor}"
            + (f": {why}" if why else "")
        )


def _why(entry: AuditEntry) -> str:
    """Give the reason of an entry; of several, as a gate gives one for each rule, the first that was not kept."""
    reasons = entry.data.get("reasons") or [entry.data.get("reason") or ""]
    broken = (str(each) for each in reasons if not str(each).startswith(("Passed", "Note")))
    return " ".join(next(broken, "").split())


def verify_audit(project: Project) -> None:
    """Check the chain of the audit log, and that nothing went live without training, gate and approval before it."""
    count = project.home.state.audit_verify()
    holes = gaps(project.home.state.audit_entries())
    for hole in holes:
        click.echo(f"entry {hole.entry.seq}, {hole.entry.event}: no {', '.join(hole.missing)} before it", err=True)
    if holes:
        raise click.ClickException(f"{len(holes)} of {count} entries have no evidence before them.")
    click.echo(f"{count} entries, none changed, nothing live without its evidence.")
