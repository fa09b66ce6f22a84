"""The command that shows what was found when a version was judged."""

from pathlib import Path

import click

from mlops_assets.cli.options import ANY_VERSION, HOME, project_of


@click.command()
@HOME
@ANY_VERSION
@click.option("--open", "and_open", is_flag=True, help="Open the page in a browser.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the page here too, to pass it on.")
def report(home: str | None, version: tuple[str, int | None], and_open: bool, out: Path | None) -> None:
    """Write the report of a judged version.

    The newest, unless told: what it is worth, and why it may go live or not.
    """
    from mlops_assets.governance import headline
    from mlops_assets.orchestration.steps.gate.reporting import bundle_of, judged, write_page

    project = project_of(home)
    model, number = version
    found = judged(project.model(model), project.home, bundle_of(project.home, model, number))
    page = write_page(project.home, found)
    if out:
        try:
            out.write_bytes(page.read_bytes())
        except OSError as error:
            raise click.ClickException(
                f"The page could not be written to {out}: {error.strerror}. It is at {page}; "
                "name another place for a copy."
            ) from error
    click.echo(headline(found))
    click.echo(f"\n  {out or page}")
    if and_open:
        click.launch(page.as_uri())


REPORTING = (report,)
