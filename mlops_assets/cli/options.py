"""What several groups of commands share: their options, and the project they work on."""

import getpass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mlops_assets.cli.project import Project

HOME = click.option(
    "--home", type=click.Path(file_okay=False), help="Where everything rests; default: .mlops in the project."
)
REASON = click.option("--reason", required=True, help="Why; it goes into the audit log.")
WHO = click.option(
    "--as", "who", default=getpass.getuser, help="Who does it; default: the account you are logged in as."
)


def _version(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, int]:
    """Part MODEL@V into the model's name and the number of the version."""
    model, _, number = value.partition("@")
    if not number.isdecimal():
        raise click.BadParameter(f"{value!r} names no version of a model. Write {model}@NUMBER, such as {model}@3.")
    return model, int(number)


def _any_version(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, int | None]:
    return _version(context, parameter, value) if "@" in value else (value, None)


VERSION = click.argument("version", metavar="MODEL@V", callback=_version)
ANY_VERSION = click.argument("version", metavar="MODEL[@V]", callback=_any_version)


def project_of(home: str | None) -> "Project":
    """Give the project around the working folder; importing what it is made of takes seconds."""
    from mlops_assets.cli.project import Project

    return Project.find(home)
