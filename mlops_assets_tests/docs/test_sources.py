"""What docs/sources.md shows is what the library takes."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

from mlops_assets.sources import SOURCES, AnySource

PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
BLOCKS = [yaml.safe_load(block)["source"] for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S)]
PAGES = re.findall(r"^\| `(\{kind: .*?\})` \|", PAGE, re.M)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block["kind"])
def test_every_source_on_the_page_loads(block):
    """Word for word."""
    assert TypeAdapter(AnySource).validate_python(block).kind == block["kind"]


@pytest.mark.parametrize("pages", PAGES)
def test_every_way_of_paging_on_the_page_loads(pages):
    """As the value of `pages`."""
    source = {"kind": "http", "url": "https://shop.example", "pages": yaml.safe_load(pages)}

    assert TypeAdapter(AnySource).validate_python(source).pages.kind in pages


def test_every_kind_and_every_way_of_paging_is_on_the_page():
    """A kind nobody can read about is no kind."""
    assert {block["kind"] for block in BLOCKS} == set(SOURCES)
    assert len(PAGES) == 4
