"""The commands by which teams share features: what is there, and a Feast repository of it."""

from typing import TYPE_CHECKING

import click

from mlops_assets.cli.commands import HOME

if TYPE_CHECKING:
    from mlops_assets.cli.project import Project


def _project(home: str | None) -> "Project":
    from mlops_assets.cli.project import Project

    return Project.find(home)


@click.command()
@HOME
@click.argument("view", required=False)
@click.option("--json", "as_json", is_flag=True, help="As data.")
def features(home: str | None, view: str | None, as_json: bool) -> None:
    """List the feature views: owners, consumers, freshness, coverage and importance; or all there is of VIEW."""
    from mlops_assets.cli.features import as_data, named, show_catalogue, show_view
    from mlops_assets.orchestration.catalogue import catalogue
    from mlops_assets.orchestration.resources import now

    project = _project(home)
    time = now(project.home)
    found = named(catalogue([view for _, view in project.views.values()], project.models, project.home, now=time), view)
    if as_json:
        click.echo(as_data(found))
    elif view is None:
        show_catalogue(found, now=time)
    else:
        show_view(found[0], now=time)


SHARING = (features,)
