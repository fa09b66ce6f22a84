"""The commands of `mlops`. Imports that take long stand inside the commands that need them."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlops_assets.cli.options import HOME, REASON, WHO, project_of

if TYPE_CHECKING:
    from mlops_assets.cli.project import Project

DAY = click.DateTime(["%Y-%m-%d"])
PORT = click.IntRange(1, 65535)
PORTS = (
    click.option("--dagster-port", type=PORT, help="Port of Dagster's pages; default: 3000, or the next free one."),
    click.option("--mlflow-port", type=PORT, help="Port of MLflow's pages; default: 5000, or the next free one."),
    click.option("--endpoint-port", type=PORT, help="Port of the endpoint; default: 8080, or the next free one."),
)


def _with_ports(command: Any) -> Any:
    for option in reversed(PORTS):
        command = option(command)
    return command


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="CSV, JSON lines or Parquet file to learn from.",
)
@click.option("--key", required=True, help="Column that names a row.")
@click.option("--time", required=True, help="Column that says when it happened.")
@click.option("--label", required=True, help="Column to predict.")
@click.option("--model", help="Name of the model; default: the file's.")
def new(path: Path, data: Path, key: str, time: str, label: str, model: str | None) -> None:
    """Make a project of your own with a model over a data file."""
    from mlops_assets.cli.new import make_project

    made = make_project(path, data=data, key=key, time=time, label=label, model=model)
    click.echo(f"{made.folder}: a project with the model {made.model!r}. Next:\n\n  cd {made.folder}\n  mlops up\n")
    click.echo(
        "and in a second terminal, once the servers answer:\n\n  mlops refresh\n"
        f"  mlops train {made.model} --reason 'first model'\n"
    )


@click.command()
@HOME
@_with_ports
def up(home: str | None, dagster_port: int | None, mlflow_port: int | None, endpoint_port: int | None) -> None:
    """Start Dagster, MLflow and the endpoint, until Ctrl-C."""
    from mlops_assets.cli.running import start
    from mlops_assets.errors import StackError

    project = project_of(home)
    try:
        with start(project, dagster=dagster_port, mlflow=mlflow_port, endpoint=endpoint_port) as stack:
            click.echo(_addresses(stack))
            stack.wait()
    except StackError as error:
        if error.facts.get("server") == "code server":
            _ = project.definitions  # where a mistake in them was its end, this says so in a line
        raise


@click.command()
@HOME
@_with_ports
@click.option("--weeks", default=5, show_default=True, help="How many weeks from 1 April 2013 to play.")
@click.option(
    "--exit", "and_exit", is_flag=True, help="End after the closing table; fail if anything was not as it should be."
)
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the closing table as data."
)
@click.option("--fresh", is_flag=True, help="Forget what an earlier demo left and begin again.")
def demo(
    home: str | None,
    dagster_port: int | None,
    mlflow_port: int | None,
    endpoint_port: int | None,
    weeks: int,
    and_exit: bool,
    json_file: Path | None,
    fresh: bool,
) -> None:
    """Play flights of 2013 to two models, and say what happened."""
    from mlops_assets.cli.demo import run_demo

    run_demo(
        project_of(home),
        weeks=weeks,
        ports={"dagster": dagster_port, "mlflow": mlflow_port, "endpoint": endpoint_port},
        stay=not and_exit,
        json_file=json_file,
        fresh=fresh,
    )


@click.command()
@HOME
@click.option("--from", "start", type=DAY, required=True, help="First day to play live.")
@click.option("--to", "end", type=DAY, required=True, help="First day not to play.")
def replay(home: str | None, start: datetime, end: datetime) -> None:
    """Play the project's history to a running stack, day by day."""
    from mlops_assets.cli.replay import Replay
    from mlops_assets.cli.running import running_stack

    project = project_of(home)
    Replay(
        project,
        url=running_stack(project).endpoint,
        start=start.date(),
        end=end.date(),
        say=click.echo,
        day_done=lambda day: click.echo(f"{day} is over"),
    ).run()


@click.command()
@HOME
@click.argument("first", required=False, type=DAY, metavar="[FIRST]")
@click.argument("last", required=False, type=DAY, metavar="[LAST]")
def refresh(home: str | None, first: datetime | None, last: datetime | None) -> None:
    """Bring in the days FIRST to LAST, or all that have arrived.

    Without FIRST, every day that is not in yet; tables without days are read whole either way.
    """
    from mlops_assets.cli.showing import show_other_definitions, telling_quarantines
    from mlops_assets.orchestration.project import daily_tables
    from mlops_assets.orchestration.resources import now
    from mlops_assets.orchestration.schedules import missing_days

    if first and last and last < first:
        raise click.UsageError(f"{last:%Y-%m-%d} is before {first:%Y-%m-%d}, so no day lies between. Swap the two.")
    project = project_of(home)
    time = now(project.home)
    with telling_quarantines(project):
        if faults := project.refresh_whole_tables(now=time):
            raise click.ClickException("; ".join(faults))
        daily = daily_tables(project.definitions)
        if first and not daily:
            raise click.ClickException(
                "No table of this project comes in days; all are read whole. Leave FIRST and LAST out."
            )
        if first:
            count = ((last or first) - first).days + 1
            days = [(first + timedelta(days=n)).date().isoformat() for n in range(count)]
        _bring_in(project, [days] if first else missing_days(daily, project.home, time, sources=project.tables), time)
    show_other_definitions(project)
    click.echo("It is in." if first else f"Everything that arrived by {time:%Y-%m-%d %H:%M} UTC is in.")


def _bring_in(project: "Project", runs: list[list[str]], time: datetime) -> None:
    faults = []
    for days in runs:
        click.echo(f"bringing in {days[0]} to {days[-1]}" if len(days) > 1 else f"bringing in {days[0]}")
        faults += project.refresh(days, now=time)
    if faults:
        raise click.ClickException("; ".join(faults))


@click.command()
@HOME
@click.argument("model")
@REASON
@WHO
def train(home: str | None, model: str, reason: str, who: str) -> None:
    """Ask for MODEL to be trained, judged and released if it may.

    The daemon of a running stack does it within a minute.
    """
    from mlops_assets.cli.people import ask_for_training

    decision = ask_for_training(project_of(home), model, reason=reason, who=who)
    click.echo(f"Asked: {decision.reason.rstrip('.')}.")
    click.echo("The retraining sensor starts the run; without a running stack, once there is one.")


@click.command()
@HOME
@click.argument("model")
@click.argument("event")
@click.option("--note", default="", help="What there is to know about it.")
@WHO
def event(home: str | None, model: str, event: str, note: str, who: str) -> None:
    """Report a business EVENT about MODEL.

    Its retraining policy says whether that calls for retraining.
    """
    from mlops_assets.cli.people import report_event

    report_event(project_of(home), model, event, note=note, who=who)
    click.echo(f"On record: {event} for {model}.")


@click.command()
@HOME
@click.argument("model")
@click.option("--digest", required=True, help="The dossier's digest, as the pending approval names it.")
@REASON
@WHO
@click.option("--reject", is_flag=True, help="Reject this version for good.")
def approve(home: str | None, model: str, digest: str, reason: str, who: str, reject: bool) -> None:
    """Approve or reject the version whose dossier you read."""
    from mlops_assets.cli.people import decide_about

    decision = decide_about(project_of(home), model, digest=digest, who=who, reason=reason, approve=not reject)
    verb = "approved" if decision.approve else "rejected"
    click.echo(f"{decision.by} {verb} bundle {decision.bundle_sha256[:12]} of {model}.")
    if decision.approve:
        click.echo(f"Now materialize {model}/approval and {model}/endpoint in Dagster.")


@click.command()
@HOME
@click.argument("model")
@REASON
@WHO
def rollback(home: str | None, model: str, reason: str, who: str) -> None:
    """Bring back the version of MODEL before the live one."""
    from mlops_assets.cli.people import bring_back
    from mlops_assets.cli.running import running_stack

    project = project_of(home)
    if project.home.endpoint_url is None:
        running_stack(project)
    live = bring_back(project, model, reason=reason, who=who)
    click.echo(f"Version {live.version} of {model} answers again at {live.url}.")


@click.command()
@HOME
def status(home: str | None) -> None:
    """Show what is live, how it does, and what was decided last."""
    from mlops_assets.cli.showing import show_status

    show_status(project_of(home))


@click.command()
@HOME
@click.option("--model", help="Only entries about this model.")
@click.option(
    "--verify", is_flag=True, help="Check that nothing was changed and nothing went live without its evidence."
)
def audit(home: str | None, model: str | None, verify: bool) -> None:
    """Show the audit log, or verify it."""
    from mlops_assets.cli.showing import show_audit, verify_audit

    project = project_of(home)
    verify_audit(project) if verify else show_audit(project, model)


def _addresses(stack: Any) -> str:
    where = stack.addresses
    lines = (f"  Dagster   {where.dagster}", f"  MLflow    {where.mlflow}", f"  endpoint  {where.endpoint}")
    return "\n".join(["", *lines, "", "Ctrl-C stops all of them."])


TO_DATA = (new, up, demo, replay, refresh)
COMMANDS = (train, event, approve, rollback, status)
EVIDENCE = (audit,)
