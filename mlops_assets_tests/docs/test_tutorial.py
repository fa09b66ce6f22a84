"""The tutorial does what it says: its commands are run, its files written or compared, its outputs waited for."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from mlops_assets_tests.docs._reader import DOCS, Reader, blocks_of

TUTORIAL = "tutorial.md"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tutorial_does_what_it_says(tmp_path):
    """From the made-up file to the second model and back, through the real servers."""
    with ExitStack() as stack:
        reader = Reader(tmp_path, stack)

        for block in blocks_of(TUTORIAL):
            reader.follow(block)


@pytest.mark.parametrize(("model", "role"), [("orders", "reads"), ("parcels", "write")])
def test_a_model_takes_fewer_than_sixty_lines(model, role):
    """All three files of a folder together, as they are shown."""
    files = {b.path: b.text for b in blocks_of(TUTORIAL) if b.role == role and b.path and f"/defs/{model}/" in b.path}

    lines = sum(len(text.splitlines()) for text in files.values())

    assert {Path(path).name for path in files} == {"defs.yaml", "features.py", "model.py"}
    assert lines < 60


def test_the_number_of_lines_in_the_text_is_right():
    """The text names the number, so it is counted."""
    shown = sum(len(b.text.splitlines()) for b in blocks_of(TUTORIAL) if b.role == "reads")

    assert f"{shown} lines in all" in (DOCS / TUTORIAL).read_text()
