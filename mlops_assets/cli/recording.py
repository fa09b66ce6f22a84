"""`mlops record`: business events come in by hand, or by a pipe."""

import os
import sys
from collections.abc import Iterator

import click

from mlops_assets.cli.options import HOME, project_of

CHUNK_BYTES = 2**20


@click.command()
@HOME
@click.argument("table")
@click.option("--json", "event", help="The event as a JSON object; without it, events are read from standard input.")
def record(home: str | None, table: str, event: str | None) -> None:
    """Record business events for TABLE, one JSON object a line.

    Those that are recorded already change nothing.
    """
    from mlops_assets.errors import MlopsError
    from mlops_assets.orchestration.resources import now
    from mlops_assets.orchestration.steps.intake.recording import record_events

    project = project_of(home)
    _, declared = project.table(table)
    new = given = 0
    try:
        for lines in [[event.encode()]] if event is not None else _lines(sys.stdin.fileno()):
            new += record_events(declared, project.home, lines, at=now(project.home))
            given += len(lines)
    except MlopsError as error:
        raise click.ClickException(f"{error} {given} events before it are on record.") from error
    click.echo(f"On record: {given} events for {table}, {new} of them new.")


def _lines(descriptor: int) -> Iterator[list[bytes]]:
    """Give the lines that are there, as soon as they are, so that a pipe that stays open is not waited for."""
    rest = b""
    while chunk := os.read(descriptor, CHUNK_BYTES):
        *whole, rest = (rest + chunk).split(b"\n")
        if lines := [line for line in whole if line.strip()]:
            yield lines
    if rest.strip():
        yield [rest]
