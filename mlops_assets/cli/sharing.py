"""The commands about features: what is there, the online store written again, and a Feast repository."""

from pathlib import Path

import click

from mlops_assets.cli.options import HOME, project_of


@click.command()
@HOME
@click.argument("view", required=False)
@click.option("--json", "as_json", is_flag=True, help="As data.")
def features(home: str | None, view: str | None, as_json: bool) -> None:
    """List the feature views, or show all there is of VIEW.

    Owners, consumers and their live versions, freshness, coverage and importance.
    """
    from mlops_assets.cli.features import as_data, named, show_catalogue, show_view
    from mlops_assets.orchestration.catalogue import catalogue
    from mlops_assets.orchestration.resources import now

    project = project_of(home)
    time = now(project.home)
    found = named(catalogue([view for _, view in project.views.values()], project.models, project.home, now=time), view)
    if as_json:
        click.echo(as_data(found))
    elif not found:
        click.echo(
            "This project has no feature views yet; docs/features.md says what they are, and how to declare one."
        )
    elif view is None:
        show_catalogue(found, now=time)
    else:
        show_view(found[0], now=time)


@click.command("feast-export")
@HOME
@click.argument("path", type=click.Path(path_type=Path))
def feast_export(home: str | None, path: Path) -> None:
    """Write the feature views as a Feast repository, to PATH."""
    from mlops_assets.orchestration.catalogue import catalogue
    from mlops_assets.orchestration.feast_export import to_feast_repo
    from mlops_assets.orchestration.resources import now

    project = project_of(home)
    views = [view for _, view in project.views.values()]
    services: dict[str, dict[str, list[str]]] = {}
    for view in catalogue(views, project.models, project.home, now=now(project.home)):
        for consumer in view.consumers:
            services.setdefault(consumer.model, {})[view.name] = list(consumer.features)
    written = to_feast_repo(path, views, services, project.home, project=project.module.partition(".")[0])
    click.echo(f"{path}: {len(written)} feature views and {len(services)} feature services. Next:\n")
    click.echo(f"  pip install 'feast[duckdb]'\n  cd {path}\n  feast apply")


@click.command()
@HOME
@click.argument("views", nargs=-1, metavar="[VIEW]...")
def refill(home: str | None, views: tuple[str, ...]) -> None:
    """Write VIEWs, or all, from their tables to the online store.

    For an online store that is new, or has lost its rows.
    """
    from mlops_assets.orchestration.steps.live.refilling import refill

    project = project_of(home)
    if not (views or project.views):
        click.echo("This project has no feature views, so there is nothing to write online.")
    chosen = [project.view(name).record() for name in views or project.views]
    for done in refill(chosen, project.home):
        click.echo(f"{done.view}: {done.skipped or f'{done.rows:,} rows offered'}")
        if done.beware:
            click.echo(f"  beware: {done.beware}")


SHARING = (features, refill, feast_export)
