"""Starting a project's stack, and finding the one that runs."""

import os

import click

from mlops_assets.cli.ports import Ports
from mlops_assets.cli.project import Project
from mlops_assets.cli.servers import Addresses
from mlops_assets.cli.stack import Stack, read_state
from mlops_assets.errors import StackError


def start(project: Project, *, dagster: int | None, mlflow: int | None, endpoint: int | None) -> Stack:
    """Give the stack of a project, ready to be entered."""
    _ = project.instance  # its tables are there before five servers, and perhaps a `mlops refresh`, look for them
    return Stack(
        project.home.root,
        project=project.root,
        module=project.module,
        ports=Ports(dagster=dagster, mlflow=mlflow, endpoint=endpoint),
        say=lambda line: click.echo(f"  {line}"),
        prepare=project.close_runs_of_dead_workers,
    )


def use(project: Project, addresses: Addresses) -> None:
    """Let this process, and what it starts, find the servers of a running stack."""
    settings = {
        "MLOPS_HOME": str(project.home.root),
        "MLOPS_DAGSTER_URL": addresses.dagster,
        "MLOPS_MLFLOW_URL": addresses.mlflow,
        "MLOPS_ENDPOINT_URL": addresses.endpoint,
    }
    os.environ.update(settings)
    project.home.settings.update(settings)


def running_stack(project: Project) -> Addresses:
    """Find the stack that runs on this home, and use it.

    Raises:
        StackError: None runs.
    """
    state = read_state(project.home.root)
    if state is None or not state.runs:
        raise StackError(f"No stack runs on {project.home.root}. Start one with `mlops up`, in another terminal.")
    use(project, state.addresses)
    return state.addresses
