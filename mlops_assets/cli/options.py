"""What several groups of commands share: their options, and the project they work on."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mlops_assets.cli.project import Project

HOME = click.option(
    "--home", type=click.Path(file_okay=False), help="Where everything rests; default: .mlops in the project."
)
REASON = click.option("--reason", required=True, help="Why; it goes into the audit log.")
WHO = click.option("--as", "who", help="Who does it; default: the account you are logged in as.")


def project_of(home: str | None) -> "Project":
    """Give the project around the working folder; importing what it is made of takes seconds."""
    from mlops_assets.cli.project import Project

    return Project.find(home)
