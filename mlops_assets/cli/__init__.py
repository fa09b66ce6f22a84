"""`mlops`: the commands, in the order of the lifecycle. Each is a thin call of the rooms below."""

import sys

import click

from mlops_assets.cli.commands import COMMANDS
from mlops_assets.errors import MlopsError


class _InOrder(click.Group):
    """A group that lists its commands as they were added."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mlops-assets")
def cli() -> None:
    """The life of a model as Dagster assets: data, features, training, gates, endpoints, drift, retraining."""


for _command in COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """Run a command; what goes wrong on purpose is said in words, without a traceback."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except MlopsError as error:
        click.echo(f"mlops: {error}", err=True)
        sys.exit(1)


__all__ = ["cli", "main"]
