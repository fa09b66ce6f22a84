"""`mlops`: the commands, in the order of the lifecycle. Each is a thin call of the rooms below."""

import errno
import signal
import sqlite3
import sys

import click

from mlops_assets.cli.commands import COMMANDS, EVIDENCE, TO_DATA
from mlops_assets.cli.contract import contract
from mlops_assets.cli.keeping_commands import KEEPING
from mlops_assets.cli.quarantine import quarantine
from mlops_assets.cli.recording import record
from mlops_assets.cli.reporting import REPORTING
from mlops_assets.cli.sharing import SHARING
from mlops_assets.cli.tracing import TRACING
from mlops_assets.errors import MlopsError


class _InOrder(click.Group):
    """A group that lists its commands as they were added."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mlops-assets")
def cli() -> None:
    """The life of a model as Dagster assets: data, features, training, gates, endpoints, drift, retraining."""


for _command in (
    *TO_DATA,
    record,
    quarantine,
    contract,
    *COMMANDS,
    *REPORTING,
    *SHARING,
    *TRACING,
    *KEEPING,
    *EVIDENCE,
):
    cli.add_command(_command)


def main() -> None:
    """Run a command; what goes wrong on purpose is said in words, without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as behind `&` in a script
        # Dagster gives SIGTERM what SIGINT has: after its first run nothing but kill -9 would end us.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:
        meant = _meant(error) or _refused(error)
        if meant is None:
            raise
        click.echo(f"mlops: {meant}", err=True)
        sys.exit(1)


def _meant(error: BaseException | None) -> MlopsError | None:
    """Give the error somebody wrote for the user, which Dagster may have wrapped in its own."""
    while error is not None and not isinstance(error, MlopsError):
        error = error.__cause__
    return error


def _refused(error: BaseException | None) -> str | None:
    """Say what a database file refused that is Dagster's, or a disk; None if it is neither."""
    while error is not None:
        if isinstance(error, sqlite3.OperationalError):
            from mlops_assets.stores._database import database_remedy

            return (
                f"Dagster's records of this home could not be read or written: {error}. {database_remedy(str(error))}"
            )
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            from mlops_assets.stores._atomic import remedy

            return f"{error.filename or 'A file'} could not be written: {remedy(error)}."
        error = error.__cause__
    return None


__all__ = ["cli", "main"]
