"""The trainers of one's own that docs/trainers.md shows, by the folder they are written into."""

from mlops_assets_tests.docs._reader import blocks_of

EXAMPLES = {block.path.partition("/")[0]: block.text for block in blocks_of("trainers.md") if block.role == "write"}
BINS, CONV = EXAMPLES["bins"], EXAMPLES["conv"]
