"""What the pages point at is there, and the commands they name exist."""

import re
from pathlib import Path

import pytest

from mlops_assets.cli import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMED = re.compile(r"`(?:mlops_assets|mlops_assets_tests|docs|docker|bench)/[\w/.]*`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    """Links and pictures within the repository; those to other places are not followed."""
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()) if "://" not in target]

    missing = [target for target in targets if not (page.parent / target).exists()]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_in_the_text_is_there(page):
    """A room that is renamed is renamed on the pages."""
    missing = [name for name in NAMED.findall(page.read_text()) if not (ROOT / name.strip("`")).exists()]

    assert missing == []


def test_the_readme_lists_the_commands_in_their_order():
    """As `mlops --help` does."""
    listed = re.search(r"`mlops --help` lists them[^:]*:(.*?)\.", (ROOT / "README.md").read_text(), re.S)

    assert listed is not None
    assert re.findall(r"`([\w-]+)`", listed[1]) == list(cli.commands)


def test_the_house_names_every_room():
    """Each room of the package has its row in the table of docs/architecture.md."""
    rows = re.findall(r"^\| `(\w+)(?:\.py)?` \|", (ROOT / "docs" / "architecture.md").read_text(), re.M)
    rooms = {path.stem for path in (ROOT / "mlops_assets").iterdir() if not path.stem.startswith(("_", "py"))}

    assert rooms <= set(rows)
