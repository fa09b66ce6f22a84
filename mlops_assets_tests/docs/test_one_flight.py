"""One flight is what the page says it is, at every step from the file to the answer."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from mlops_assets_tests.docs._reader import DOCS, Reader, blocks_of


@pytest.mark.slow
@pytest.mark.timeout(1100)
def test_one_flight_can_be_followed_as_the_page_says(tmp_path: Path):
    """Through the real tables, the real training and the real endpoint, in the order of the page."""
    with ExitStack() as stack:
        reader = Reader(
            DOCS.parent,
            stack,
            settings={"MLOPS_HOME": str(tmp_path / "home")},
            patience_s=900,
            log=tmp_path / "up.log",
        )

        for block in blocks_of("one-flight.md"):
            reader.follow(block)
