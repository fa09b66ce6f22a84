"""The commands about contracts: what a table promises, and what a change of it would do."""

from typing import TYPE_CHECKING

import click

from mlops_assets.cli.commands import HOME

if TYPE_CHECKING:
    from mlops_assets.cli.project import Project


def _project(home: str | None) -> "Project":
    from mlops_assets.cli.project import Project

    return Project.find(home)


@click.group()
def contract() -> None:
    """Show what tables promise, and what a change of it would do."""


@contract.command()
@HOME
@click.argument("table")
def show(home: str | None, table: str) -> None:
    """Show what TABLE promises, and by which version its days were judged."""
    from mlops_assets.cli.showing_contracts import show_contract

    show_contract(_project(home), table)


@contract.command()
@HOME
@click.argument("table", required=False)
def diff(home: str | None, table: str | None) -> None:
    """Show what is declared otherwise than rows were last judged by, and what that makes of stored rows.

    Ends with exit code 1 if a change would be refused, because it breaks somebody under the same version.
    """
    from mlops_assets.cli.showing_contracts import show_changes

    show_changes(_project(home), table)
